// The loops of the AMX GEMM (amx_gemm.h), templated on the tiles: the hardware's, or plain arrays in tests. Like rows_impl.h,
// everything here has internal linkage and uses nothing inline from other headers.
#pragma once

#include <stdint.h>
#include <string.h>

#include "cpu/amx_gemm.h"
#include "cpu/avx512_math.h"

namespace fude::cpu {
namespace {

// The epilogue is a template argument, so that its constants stay in registers.
template <class Tiles, class Out, Curve kCurve, bool kAccumulate>
class GemmKernel {
 public:
  GemmKernel(const GemmCall& gemm, void* scratch)
      : p_(gemm),
        accumulators_(static_cast<float*>(scratch)),
        padded_(reinterpret_cast<char*>(accumulators_ + accumulator_blocks(p_.k) * kAccumulators)) {}

  void multiply(const GemmPiece& piece) {
    const NoSubnormals scope;
    const int64_t k_tiles = in_k_tiles(p_.k);
    const int64_t chunks = in_chunks(p_.k);
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      const int64_t begin = k_tiles * chunk / chunks, end = k_tiles * (chunk + 1) / chunks;
      int64_t i = 0;
      for (int64_t row = piece.first_row; row < piece.last_row; ++row) {
        const Rows rows = block_of_rows(row);
        configure(rows.count);
        for (int64_t column = piece.first_column; column < piece.last_column; ++column, ++i) {
          float* const acc = accumulators_ + i % accumulator_blocks(p_.k) * kAccumulators;
          multiply(rows, column, begin, end, acc);
          if (end == k_tiles) begin_epilogue(rows, column, acc);
        }
      }
    }
    finish_epilogue();
    Tiles::release();
  }

 private:
  struct Rows {
    const char* x;
    char* out;
    int64_t count;
  };

  // The epilogue of a block runs row by row between the tile instructions of the next block, so that both overlap.
  struct Epilogue {
    const float* acc;
    Pair bias;
    char* out;
    int64_t rows;
    __mmask32 columns;
  };

  Rows block_of_rows(int64_t i) const {
    const int64_t blocks = in_blocks(p_.m);
    const int64_t item = i / blocks;
    const int64_t row = i % blocks * kBlock;
    const int64_t left = p_.m - row;
    return {p_.x + item * p_.x_item + row * p_.x_row, p_.out + item * p_.out_item + row * p_.out_row,
            left < kBlock ? left : kBlock};
  }

  void configure(int64_t rows) {
    if (rows != configured_) Tiles::configure(rows);
    configured_ = rows;
  }

  // K-tiles [begin, end) of a block; all but the first are added to `acc`.
  void multiply(const Rows& rows, int64_t column, int64_t begin, int64_t end, float* acc) {
    const int64_t whole = p_.k / kTileK, lower = rows.count > 16 ? 16 * p_.x_row : 0;
    const char* const columns = p_.weight + column * packed_tile_bytes(p_.k, 1);
    if (begin == 0) Tiles::clear();
    else Tiles::load(acc);
    for (int64_t s = begin; s < end; ++s) {
      const char* const x = rows.x + s * 64;
      if (s < whole) Tiles::add(x, x + lower, p_.x_row, columns + s * 2 * kTileBytes);
      else Tiles::add(padded(rows, x), padded_ + (lower ? kTileBytes : 0), 64, columns + s * 2 * kTileBytes);
      if (rows_done_ < epilogue_.rows) finish_row();
    }
    Tiles::store(acc);
  }

  // The last elements of k, which do not fill a k-tile.
  const char* padded(const Rows& rows, const char* x) {
    memset(padded_, 0, 2 * kTileBytes);
    for (int64_t r = 0; r < rows.count; ++r) memcpy(padded_ + r * 64, x + r * p_.x_row, static_cast<size_t>(p_.k % kTileK * 2));
    Tiles::written();
    return padded_;
  }

  void begin_epilogue(const Rows& rows, int64_t column, const float* acc) {
    finish_epilogue();
    const int64_t begin = column * kBlock, left = p_.n - begin;
    const __mmask32 columns = left < kBlock ? (1u << left) - 1 : ~0u;
    epilogue_ = {.acc = acc,
                 .bias = p_.bias ? load(p_.bias + begin, columns) : Pair{all(0), all(0)},
                 .out = rows.out + begin * static_cast<int64_t>(sizeof(Out)),
                 .rows = rows.count,
                 .columns = columns};
    rows_done_ = 0;
  }

  void finish_row() {
    Out* const out = reinterpret_cast<Out*>(epilogue_.out + rows_done_ * p_.out_row);
    const Pair acc = load(epilogue_.acc + rows_done_ * kBlock, ~0u);
    Pair v = {apply<kCurve>(_mm512_add_ps(acc.low, epilogue_.bias.low)),
              apply<kCurve>(_mm512_add_ps(acc.high, epilogue_.bias.high))};
    if constexpr (kAccumulate) {
      const Pair before = load(out, epilogue_.columns);
      v = {_mm512_add_ps(before.low, v.low), _mm512_add_ps(before.high, v.high)};
    }
    store(out, v, epilogue_.columns);
    ++rows_done_;
  }
  void finish_epilogue() {
    while (rows_done_ < epilogue_.rows) finish_row();
  }

  const GemmCall& p_;
  float* const accumulators_;
  char* const padded_;
  int64_t configured_ = 0;
  Epilogue epilogue_ = {};
  int64_t rows_done_ = 0;  // of the epilogue
};

template <class Tiles, class Out, bool kAccumulate>
void run_gemm(const GemmPiece& piece, void* scratch) {
  const GemmCall& p = *piece.gemm;
  switch (p.curve) {
    case Curve::none: return GemmKernel<Tiles, Out, Curve::none, kAccumulate>(p, scratch).multiply(piece);
    case Curve::silu: return GemmKernel<Tiles, Out, Curve::silu, kAccumulate>(p, scratch).multiply(piece);
    case Curve::gelu_tanh: return GemmKernel<Tiles, Out, Curve::gelu_tanh, kAccumulate>(p, scratch).multiply(piece);
    case Curve::gelu_erf: return GemmKernel<Tiles, Out, Curve::gelu_erf, kAccumulate>(p, scratch).multiply(piece);
    case Curve::quick_gelu: return GemmKernel<Tiles, Out, Curve::quick_gelu, kAccumulate>(p, scratch).multiply(piece);
  }
}

template <class Tiles>
void run_gemm(const GemmPiece& piece, void* scratch) {
  const GemmCall& p = *piece.gemm;
  if (p.out_bf16 && p.accumulate) return run_gemm<Tiles, uint16_t, true>(piece, scratch);
  if (p.out_bf16) return run_gemm<Tiles, uint16_t, false>(piece, scratch);
  if (p.accumulate) return run_gemm<Tiles, float, true>(piece, scratch);
  run_gemm<Tiles, float, false>(piece, scratch);
}

}  // namespace
}  // namespace fude::cpu
