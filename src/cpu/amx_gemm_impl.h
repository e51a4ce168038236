// The loops of tile_products.h over some Tiles: the processor's, or plain arrays in tests. Like rows_impl.h, everything here
// has internal linkage and uses nothing inline from other headers.
#pragma once

#include <stdint.h>
#include <string.h>

#include "cpu/amx_gemm.h"
#include "cpu/avx512_math.h"

namespace fude::cpu {
namespace {

// What finishes sums is known when this is compiled, so that its constants stay in registers throughout.
template <class Tiles, class Out, Curve kCurve, bool kAccumulate>
class TileMultiplier {
 public:
  TileMultiplier(const TileProduct& product, void* scratch)
      : p_(product), sums_(static_cast<float*>(scratch)), padded_(reinterpret_cast<char*>(sums_ + tile_sums(p_.k) * kSums)) {}

  void multiply(const TilePiece& piece) {
    const NoSubnormals scope;
    const int64_t steps = in_steps(p_.k);
    const int64_t chunks = in_chunks(p_.k);
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      const int64_t begin = steps * chunk / chunks, end = steps * (chunk + 1) / chunks;
      int64_t i = 0;
      for (int64_t row = piece.first_row; row < piece.last_row; ++row) {
        const Rows rows = block_of_rows(row);
        configure(rows.count);
        for (int64_t column = piece.first_column; column < piece.last_column; ++column, ++i) {
          float* const sums = sums_ + i % tile_sums(p_.k) * kSums;
          multiply(rows, column, begin, end, sums);
          if (end == steps) finish(rows, column, sums);
        }
      }
    }
    write_rest();
    Tiles::release();
  }

 private:
  struct Rows {
    const char* x;
    char* out;
    int64_t count;
  };

  // Finished sums are written out row by row, so that a processor does it while its tiles multiply the next block.
  struct Finished {
    const float* sums;
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

  // Steps [begin, end) of a block, added to `sums` where they are not the first.
  void multiply(const Rows& rows, int64_t column, int64_t begin, int64_t end, float* sums) {
    const int64_t whole = p_.k / kStep, lower = rows.count > 16 ? 16 * p_.x_row : 0;
    const char* const columns = p_.weight + column * packed_tile_bytes(p_.k, 1);
    if (begin == 0) Tiles::clear();
    else Tiles::load(sums);
    for (int64_t s = begin; s < end; ++s) {
      const char* const x = rows.x + s * 64;
      if (s < whole) Tiles::add(x, x + lower, p_.x_row, columns + s * 2 * kTileBytes);
      else Tiles::add(padded(rows, x), padded_ + (lower ? kTileBytes : 0), 64, columns + s * 2 * kTileBytes);
      if (written_ < finished_.rows) write_row();
    }
    Tiles::store(sums);
  }

  // The last elements of k, which do not fill a step.
  const char* padded(const Rows& rows, const char* x) {
    memset(padded_, 0, 2 * kTileBytes);
    for (int64_t r = 0; r < rows.count; ++r) memcpy(padded_ + r * 64, x + r * p_.x_row, static_cast<size_t>(p_.k % kStep * 2));
    Tiles::written();
    return padded_;
  }

  void finish(const Rows& rows, int64_t column, const float* sums) {
    write_rest();
    const int64_t begin = column * kBlock, left = p_.n - begin;
    const __mmask32 columns = left < kBlock ? (1u << left) - 1 : ~0u;
    finished_ = {.sums = sums,
                 .bias = p_.bias ? load(p_.bias + begin, columns) : Pair{all(0), all(0)},
                 .out = rows.out + begin * static_cast<int64_t>(sizeof(Out)),
                 .rows = rows.count,
                 .columns = columns};
    written_ = 0;
  }

  void write_row() {
    Out* const out = reinterpret_cast<Out*>(finished_.out + written_ * p_.out_row);
    const Pair sums = load(finished_.sums + written_ * kBlock, ~0u);
    Pair v = {apply<kCurve>(_mm512_add_ps(sums.low, finished_.bias.low)),
              apply<kCurve>(_mm512_add_ps(sums.high, finished_.bias.high))};
    if constexpr (kAccumulate) {
      const Pair before = load(out, finished_.columns);
      v = {_mm512_add_ps(before.low, v.low), _mm512_add_ps(before.high, v.high)};
    }
    store(out, v, finished_.columns);
    ++written_;
  }
  void write_rest() {
    while (written_ < finished_.rows) write_row();
  }

  const TileProduct& p_;
  float* const sums_;
  char* const padded_;
  int64_t configured_ = 0;
  Finished finished_ = {};
  int64_t written_ = 0;  // rows of it
};

template <class Tiles, class Out, bool kAccumulate>
void multiply_tiles(const TilePiece& piece, void* scratch) {
  const TileProduct& p = *piece.product;
  switch (p.curve) {
    case Curve::none: return TileMultiplier<Tiles, Out, Curve::none, kAccumulate>(p, scratch).multiply(piece);
    case Curve::silu: return TileMultiplier<Tiles, Out, Curve::silu, kAccumulate>(p, scratch).multiply(piece);
    case Curve::gelu_tanh: return TileMultiplier<Tiles, Out, Curve::gelu_tanh, kAccumulate>(p, scratch).multiply(piece);
    case Curve::gelu_erf: return TileMultiplier<Tiles, Out, Curve::gelu_erf, kAccumulate>(p, scratch).multiply(piece);
    case Curve::quick_gelu: return TileMultiplier<Tiles, Out, Curve::quick_gelu, kAccumulate>(p, scratch).multiply(piece);
  }
}

template <class Tiles>
void multiply_tiles(const TilePiece& piece, void* scratch) {
  const TileProduct& p = *piece.product;
  if (p.out_bf16 && p.accumulate) return multiply_tiles<Tiles, uint16_t, true>(piece, scratch);
  if (p.out_bf16) return multiply_tiles<Tiles, uint16_t, false>(piece, scratch);
  if (p.accumulate) return multiply_tiles<Tiles, float, true>(piece, scratch);
  multiply_tiles<Tiles, float, false>(piece, scratch);
}

}  // namespace
}  // namespace fude::cpu
