// bf16 matrix products on tiles (AMX): the products of linears, on processors that have them.
//
// A tile holds 16 rows of 64 bytes. 16 rows × 32 elements of x are one as they lie; the weight is packed once into tiles of 16
// pairs of k × 16 columns. The product of two tiles adds 32 elements of k to 16 × 16 sums. Blocks of 2 × 2 tiles are multiplied
// at a time: each of the eight tiles a processor has is then a sum, or used twice whenever it is loaded.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/rows.h"

namespace fude::cpu {

constexpr int64_t kTileBytes = 1024, kStep = 32;  // of k in a tile
constexpr int64_t kBlock = 32;                    // rows, and columns, whose sums are in tiles at a time
constexpr int64_t kSums = kBlock * kBlock;

// `static`: files compiled for AMX have copies of their own.
static constexpr int64_t in_steps(int64_t k) { return (k + kStep - 1) / kStep; }
static constexpr int64_t in_blocks(int64_t n) { return (n + kBlock - 1) / kBlock; }

// out = curve(x·W + bias), or out += of it, for `items` matrices of m rows that are multiplied by one weight.
struct TileProduct {
  int64_t items, m, n, k;
  const char* x;
  int64_t x_item, x_row;  // bytes from one to the next
  char* out;
  int64_t out_item, out_row;
  bool out_bf16;       // else f32
  const char* weight;  // block of columns by block of columns, in each step by step, each two tiles
  const float* bias;   // may be null
  Curve curve;
  bool accumulate;
};

// What one thread does at a time: blocks of rows, counted through the items, by blocks of columns.
struct TilePiece {
  const TileProduct* product;
  int64_t first_row, last_row, first_column, last_column;
};

// Columns of a piece stay in the second-level cache (2 MiB) while its rows pass: most blocks × most steps take 1.1 MiB, and
// each byte from further away is used for up to twelve blocks. Products deeper than that are made in chunks of k, and sums that
// wait for the next one take up to 0.6 MiB more. x is read where it lies: 1.0 TFLOP/s a thread, where copies of it that were
// tiles reached 0.75 (Xeon "Sapphire Rapids", 4 of 16 virtual processors).
constexpr int64_t kMostBlocks = 12, kMostSteps = 48;
static constexpr int64_t in_chunks(int64_t k) { return (in_steps(k) + kMostSteps - 1) / kMostSteps; }

// Independent products in pieces for threads to take one by one, the large ones first. Which thread does one changes no sum.
std::vector<TilePiece> tile_pieces(const std::vector<TileProduct>& products, int64_t threads);

// What a thread needs for pieces of products so deep, 64-aligned: sums, twice where all of k is one chunk, and a step of x.
static constexpr int64_t tile_sums(int64_t k) { return in_chunks(k) == 1 ? 2 : kMostBlocks * kMostBlocks; }
static constexpr int64_t tile_scratch_bytes(int64_t k) { return tile_sums(k) * kSums * 4 + 2 * kTileBytes; }

static constexpr int64_t packed_tile_bytes(int64_t k, int64_t n) { return in_blocks(n) * in_steps(k) * 2 * kTileBytes; }
// Packs up to kBlock columns of a weight, which are rows of k elements, `row` elements apart; `packed`: the block's place.
void pack_tile_block(const uint16_t* rows, int64_t row, int64_t count, int64_t k, void* packed);

// Whether processor and operating system have tiles. Asked before the first product, since it also gets their permission.
bool has_tiles();
void multiply_on_amx(const TilePiece& piece, void* scratch);

}  // namespace fude::cpu
