// Flash attention in bf16 on AMX tiles: softmax(scale·q·kᵀ + bias)·v, one block of queries at a time.
//
// A block loops over the keys in chunks whose scores stay in the L1 cache, with an online softmax: when a chunk has a larger
// score, the accumulators are rescaled. Software pipelined: while the exponentials of a chunk are computed, the tiles multiply
// the weights of the previous chunk by its values, and the queries by the keys of the next. Limited by the two GEMMs
// (4·queries·keys·head_dim operations per head) and by exponentials, one for each query and key.
#pragma once

#include <cstdint>

#include "cpu/amx_gemm.h"

namespace fude::cpu {

constexpr int64_t kChunk = 4 * kBlock;  // keys

// One head of one item.
struct AttentionHead {
  int64_t queries, keys, width;  // width: of a head, a multiple of kTileK
  const char* q;
  char* out;
  int64_t q_row, out_row;  // bytes from one to the next
  const char *keys_packed, *values_packed;
  float scale;
  bool causal;
  const float* bias;  // may be null
  int64_t bias_row;   // elements
};

// Packed keys, or packed values, of one block of keys.
static constexpr int64_t packed_block_bytes(int64_t width) { return in_k_tiles(width) * 2 * kTileBytes; }
// Packs up to kBlock rows, which are `row` bytes apart; absent ones are zeros.
void pack_keys(const char* rows, int64_t row, int64_t count, int64_t width, void* packed);
void pack_values(const char* rows, int64_t row, int64_t count, int64_t width, void* packed);

// Scratch of one thread, 64-aligned: queries, two chunks of scores and of weights, accumulators, and for each query its largest
// score, the largest before this chunk, and twice sixteen partial sums of weights.
static constexpr int64_t attention_scratch_bytes(int64_t width) {
  return kBlock * width * 2 + 2 * kBlock * kChunk * (4 + 2) + kBlock * width * 4 + kBlock * (2 + 2 * 16) * 4;
}

// Queries [first, first + kBlock), or fewer at the end.
void attention_on_amx(const AttentionHead& attention, int64_t first, void* scratch);

}  // namespace fude::cpu
