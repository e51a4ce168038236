// The loops of tile_products.h over some Tiles: the processor's, or plain arrays in tests. Like rows_impl.h, everything here
// has internal linkage and uses nothing inline from other headers.
#pragma once

#include <stdint.h>
#include <string.h>

#include "cpu/elements_impl.h"
#include "cpu/tile_products.h"

namespace fude::cpu {
namespace {

// One row of a block of sums.
template <class Out, class F, bool kAccumulate>
void finish_row(void* row, const float* sums, const float* bias, int64_t n) {
  Out* const out = static_cast<Out*>(row);
  const auto value = [&](int64_t i) {
    const float v = F{}(sums[i] + bias[i]);
    return kAccumulate ? get(out[i]) + v : v;
  };
  if (n == kBlock) {
#pragma omp simd
    for (int64_t i = 0; i < kBlock; ++i) put(out[i], value(i));
    return;
  }
  for (int64_t i = 0; i < n; ++i) put(out[i], value(i));
}

using FinishRow = void (*)(void* row, const float* sums, const float* bias, int64_t n);

template <class Out>
FinishRow finish_row_of(const TileProduct& p) {
  FinishRow chosen = nullptr;
  with_curve(p.curve,
             [&](auto f) { chosen = p.accumulate ? finish_row<Out, decltype(f), true> : finish_row<Out, decltype(f), false>; });
  return chosen;
}

template <class Tiles>
class TileMultiplier {
 public:
  TileMultiplier(const TileProduct& product, void* scratch)
      : p_(product),
        finish_row_(p_.out_bf16 ? finish_row_of<bf16>(p_) : finish_row_of<float>(p_)),
        sums_(static_cast<float*>(scratch)),
        padded_(reinterpret_cast<char*>(sums_ + tile_sums(p_.k) * kSums)) {}

  void multiply(const TilePiece& piece) {
    const int64_t steps = in_steps(p_.k), chunks = in_chunks(p_.k);
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
    const float *sums, *bias;
    char* out;
    int64_t rows, columns;
  };

  Rows block_of_rows(int64_t i) const {
    const int64_t blocks = in_blocks(p_.m), item = i / blocks, row = i % blocks * kBlock, left = p_.m - row;
    return {p_.x + item * p_.x_item + row * p_.x_row, p_.out + item * p_.out_item + row * p_.out_row, left < kBlock ? left : kBlock};
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
    static constexpr float kNone[kBlock] = {};
    write_rest();
    const int64_t begin = column * kBlock, left = p_.n - begin;
    finished_ = {.sums = sums,
                 .bias = p_.bias ? p_.bias + begin : kNone,
                 .out = rows.out + begin * (p_.out_bf16 ? 2 : 4),
                 .rows = rows.count,
                 .columns = left < kBlock ? left : kBlock};
    written_ = 0;
  }

  void write_row() {
    finish_row_(finished_.out + written_ * p_.out_row, finished_.sums + written_ * kBlock, finished_.bias, finished_.columns);
    ++written_;
  }
  void write_rest() {
    while (written_ < finished_.rows) write_row();
  }

  const TileProduct& p_;
  const FinishRow finish_row_;
  float* const sums_;
  char* const padded_;
  int64_t configured_ = 0;
  Finished finished_ = {};
  int64_t written_ = 0;  // rows of it
};

}  // namespace
}  // namespace fude::cpu
