// Attention in bf16 on tiles (AMX), on processors that have them: softmax(scale·q·kᵀ + bias)·v, a block of queries at a time.
//
// A block passes the keys in chunks whose scores stay in the first-level cache. The softmax of what has been seen is kept up to
// date: where a chunk has a larger score, the sums so far are made smaller. While a chunk's rows go through their exponentials,
// the tiles multiply the weights of the chunk before by its values, and queries by the keys of the next. Limited by the two
// products (4·queries·keys·head_dim operations per head) and by exponentials, one for each query and key.
#pragma once

#include <cstdint>

#include "cpu/amx_gemm.h"

namespace fude::cpu {

constexpr int64_t kChunk = 4 * kBlock;  // keys

// One head.
struct TileAttention {
  int64_t queries, keys, width;  // width: of a head, a multiple of kStep
  const char* q;
  char* out;
  int64_t q_row, out_row;  // bytes from one to the next
  const char *keys_packed, *values_packed;
  float scale;
  bool causal;
  const float* bias;  // may be null
  int64_t bias_row;   // elements
};

// Of keys or of values: block of keys by block of keys.
static constexpr int64_t packed_block_bytes(int64_t width) { return in_steps(width) * 2 * kTileBytes; }
// Packs up to kBlock rows, which are `row` bytes apart; absent ones are zeros.
void pack_keys(const char* rows, int64_t row, int64_t count, int64_t width, void* packed);
void pack_values(const char* rows, int64_t row, int64_t count, int64_t width, void* packed);

// What a thread needs, 64-aligned: queries, two chunks' scores and weights, sums of results, and for each query its largest
// score, that of the chunks before, and two times sixteen partial sums of weights.
static constexpr int64_t attention_scratch_bytes(int64_t width) {
  return kBlock * width * 2 + 2 * kBlock * kChunk * (4 + 2) + kBlock * width * 4 + kBlock * (2 + 2 * 16) * 4;
}

// Queries [first, first + kBlock), where there are so many.
void attend_on_amx(const TileAttention& attention, int64_t first, void* scratch);

}  // namespace fude::cpu
