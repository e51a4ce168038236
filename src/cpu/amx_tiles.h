// The hardware's AMX tiles, for amx_gemm_impl.h and amx_attention_impl.h: 2 × 2 tiles of accumulators (0 to 3), two of rows
// (4, 5), two of columns (6, 7).
#pragma once

#include <immintrin.h>

#include <atomic>
#include <cstdint>

#include "cpu/amx_gemm.h"

namespace fude::cpu {
namespace {

// The tile configurations for blocks of 1 to 32 rows. A tile needs at least one row, so an empty lower tile gets one, which is
// never read. They are constants because GCC's intrinsic does not tell the compiler that it reads more than the first bytes.
struct alignas(64) TileConfig {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};
struct TileConfigs {
  TileConfig of[kBlock + 1];
  constexpr TileConfigs() : of{} {
    for (int rows = 1; rows <= kBlock; ++rows) {
      const int upper = rows < 16 ? rows : 16, lower = rows > 16 ? rows - 16 : 1;
      TileConfig& config = of[rows];
      config.palette = 1;
      for (int tile = 0; tile < 8; ++tile) {
        const bool has_lower = tile == 2 || tile == 3 || tile == 5, has_columns = tile > 5;
        config.row_bytes[tile] = 64;
        config.rows[tile] = static_cast<uint8_t>(has_columns ? 16 : has_lower ? lower : upper);
      }
    }
  }
};
constexpr TileConfigs kTileConfigs;

struct AmxTiles {
  // oneDNN, on the same thread, has its own configuration, so ours is valid only from here to `release`.
  static void configure(int64_t block_rows) { _tile_loadconfig(&kTileConfigs.of[block_rows]); }
  static void release() { _tile_release(); }

  // Call it between plain stores and tile loads of the same memory: compilers do not see that a tile load reads memory.
  static void written() { std::atomic_signal_fence(std::memory_order_seq_cst); }

  static void clear() {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  static void load(const float* acc) {
    _tile_loadd(0, acc, kAccumulatorStride);
    _tile_loadd(1, acc + 16, kAccumulatorStride);
    _tile_loadd(2, acc + 16 * kBlock, kAccumulatorStride);
    _tile_loadd(3, acc + 16 * kBlock + 16, kAccumulatorStride);
  }
  static void store(float* acc) {
    _tile_stored(0, acc, kAccumulatorStride);
    _tile_stored(1, acc + 16, kAccumulatorStride);
    _tile_stored(2, acc + 16 * kBlock, kAccumulatorStride);
    _tile_stored(3, acc + 16 * kBlock + 16, kAccumulatorStride);
  }
  // acc += rows·columns, one k-tile
  static void add(const char* upper, const char* lower, int64_t stride, const char* columns) {
    _tile_loadd(6, columns, 64);
    _tile_loadd(4, upper, stride);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, columns + kTileBytes, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, lower, stride);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }

 private:
  static constexpr int64_t kAccumulatorStride = kBlock * 4;
};

}  // namespace
}  // namespace fude::cpu
