// bf16 GEMM on AMX tiles, for linears on processors that have AMX.
//
// An AMX tile holds 16 rows of 64 bytes. 16 rows × 32 elements of x can be loaded as a tile without packing; the weight is
// packed once into tiles of 16 pairs of k × 16 columns. One tile instruction adds 32 elements of k to 16 × 16 accumulators. A
// block is 2 × 2 tiles of accumulators: of the eight tiles a processor has, four accumulate, and each of the others is used
// twice a load.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/rows.h"

namespace fude::cpu {

constexpr int64_t kTileBytes = 1024, kTileK = 32;  // elements of k in a k-tile
constexpr int64_t kBlock = 32;                     // rows, and columns, of a block: its accumulators are in tiles
constexpr int64_t kAccumulators = kBlock * kBlock;

// `static`: files compiled for AMX have copies of their own.
static constexpr int64_t in_k_tiles(int64_t k) { return (k + kTileK - 1) / kTileK; }
static constexpr int64_t in_blocks(int64_t n) { return (n + kBlock - 1) / kBlock; }

// out = curve(x·W + bias), or out += of it, for `items` matrices of m rows with the same weight.
struct GemmCall {
  int64_t items, m, n, k;
  const char* x;
  int64_t x_item, x_row;  // bytes from one to the next
  char* out;
  int64_t out_item, out_row;
  bool out_bf16;       // else f32
  const char* weight;  // packed: by blocks of columns, in each by k-tiles, each of two tiles
  const float* bias;   // may be null
  Curve curve;
  bool accumulate;
};

// The unit of work of a thread: blocks of rows, counted through the items, by blocks of columns.
struct GemmPiece {
  const GemmCall* gemm;
  int64_t first_row, last_row, first_column, last_column;
};

// The weights of a piece stay in the L2 cache (2 MiB) for all its rows: kMostBlocks × kMostKTiles take 1.1 MiB, and each byte
// that is loaded from further away is used by up to twelve blocks. A larger k is split into chunks; the accumulators kept
// between chunks take up to 0.6 MiB more. x is not packed: 1.0 TFLOP/s a thread, against 0.75 with x packed into tiles (Xeon
// "Sapphire Rapids", 4 of 16 virtual processors).
constexpr int64_t kMostBlocks = 12, kMostKTiles = 48;
static constexpr int64_t in_chunks(int64_t k) { return (in_k_tiles(k) + kMostKTiles - 1) / kMostKTiles; }

// Splits independent GEMMs into pieces, largest first, for threads to take one by one. The result does not depend on which
// thread takes which.
std::vector<GemmPiece> gemm_pieces(const std::vector<GemmCall>& gemms, int64_t threads);

// Scratch of one thread for GEMMs of this k, 64-aligned: accumulators (two blocks where k is one chunk: one is computed, one is
// in its epilogue), and a padded k-tile of x.
static constexpr int64_t accumulator_blocks(int64_t k) { return in_chunks(k) == 1 ? 2 : kMostBlocks * kMostBlocks; }
static constexpr int64_t gemm_scratch_bytes(int64_t k) { return accumulator_blocks(k) * kAccumulators * 4 + 2 * kTileBytes; }

static constexpr int64_t packed_tile_bytes(int64_t k, int64_t n) { return in_blocks(n) * in_k_tiles(k) * 2 * kTileBytes; }
// Packs up to kBlock columns of a weight, which are rows of k elements, `row` elements apart; `packed`: of this block.
void pack_tile_block(const uint16_t* rows, int64_t row, int64_t count, int64_t k, void* packed);

// Whether processor and operating system support AMX. Call it before the first GEMM: it also asks the system for permission.
bool has_tiles();
void gemm_on_amx(const GemmPiece& piece, void* scratch);

}  // namespace fude::cpu
