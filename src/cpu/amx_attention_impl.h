// The loops of tile_attention.h over some Tiles, as in tile_products_impl.h.
#pragma once

#include <stdint.h>
#include <string.h>

#include "cpu/amx_attention.h"
#include "cpu/avx512_math.h"

namespace fude::cpu {
namespace {

constexpr float kLowest = -1e30f;  // below what scores are, and no infinity: differences of those are none

template <class Tiles>
class TileAttender {
 public:
  TileAttender(const TileAttention& attention, int64_t first, void* scratch)
      : a_(attention),
        first_(first),
        rows_(a_.queries - first < kBlock ? a_.queries - first : kBlock),
        seen_(a_.causal && first + rows_ < a_.keys ? first + rows_ : a_.keys),
        chunks_((seen_ + kChunk - 1) / kChunk),
        steps_(a_.width / kStep),
        queries_(static_cast<char*>(scratch)),
        weights_(queries_ + kBlock * a_.width * 2),
        scores_(reinterpret_cast<float*>(weights_ + 2 * kBlock * kChunk * 2)),
        results_(scores_ + 2 * kBlock * kChunk),
        totals_(results_ + kBlock * a_.width),
        parts_(totals_ + kBlock * 16),
        largest_(parts_ + kBlock * 16),
        before_(largest_ + kBlock) {}

  void attend() {
    const NoSubnormals scope;
    take_queries();
    Tiles::configure(kBlock);
    begin_products(-1, 0);
    go_on(products_);
    for (int64_t chunk = 0; chunk < chunks_; ++chunk) {
      if (chunk > 0) take_in(chunk - 1);
      begin_products(chunk - 1, chunk + 1);
      for (int64_t row = 0; row < rows_; ++row) {
        soften(chunk, row);
        go_on(products_ * (row + 1) / rows_);
      }
    }
    take_in(chunks_ - 1);
    begin_products(chunks_ - 1, chunks_);
    go_on(products_);
    Tiles::release();
    write();
  }

 private:
  float* scores_of(int64_t chunk) const { return scores_ + chunk % 2 * kBlock * kChunk; }
  char* weights_of(int64_t chunk) const { return weights_ + chunk % 2 * kBlock * kChunk * 2; }
  int64_t blocks_of(int64_t chunk) const {  // of keys
    const int64_t left = seen_ - chunk * kChunk;
    return chunk < 0 || left <= 0 ? 0 : in_blocks(left < kChunk ? left : kChunk);
  }

  // Into rows of their own: where they lie many may share a place in the cache.
  void take_queries() {
    const auto bytes = static_cast<size_t>(a_.width * 2);
    for (int64_t r = 0; r < rows_; ++r) memcpy(queries_ + r * a_.width * 2, a_.q + (first_ + r) * a_.q_row, bytes);
    memset(queries_ + rows_ * a_.width * 2, 0, static_cast<size_t>(kBlock - rows_) * bytes);
    for (int64_t r = 0; r < kBlock; ++r) largest_[r] = kLowest;
    memset(totals_, 0, kBlock * 16 * sizeof(float));
    Tiles::written();
  }

  // ---- products: a step of k of a block of sums at a time, between rows of softmax ------------------------------------------

  // The weights of one chunk by its values, then queries by the keys of another; chunks that are not there have none.
  void begin_products(int64_t weighted, int64_t scored) {
    weighted_ = weighted;
    scored_ = scored;
    value_products_ = steps_ * blocks_of(weighted);
    products_ = value_products_ + blocks_of(scored) * steps_;
    done_ = 0;
    Tiles::written();
  }

  void go_on(int64_t until) {
    for (; done_ < until; ++done_) {
      if (done_ < value_products_) weigh(done_);
      else score(done_ - value_products_);
    }
  }

  void weigh(int64_t i) {
    const int64_t blocks = blocks_of(weighted_);
    const int64_t column = i / blocks;
    const int64_t block = i % blocks;
    float* const sums = results_ + column * kSums;
    if (block == 0 && weighted_ == 0) Tiles::clear();
    else if (block == 0) Tiles::load(sums);
    const char* const w = weights_of(weighted_) + block * kBlock * 2;
    const char* const values = a_.values_packed + (weighted_ * (kChunk / kBlock) + block) * packed_block_bytes(a_.width);
    Tiles::add(w, w + 16 * kChunk * 2, kChunk * 2, values + column * 2 * kTileBytes);
    if (block == blocks - 1) Tiles::store(sums);
  }

  void score(int64_t i) {
    const int64_t block = i / steps_, step = i % steps_;
    if (step == 0) Tiles::clear();
    const char* const q = queries_ + step * kStep * 2;
    const char* const keys = a_.keys_packed + (scored_ * (kChunk / kBlock) + block) * packed_block_bytes(a_.width);
    Tiles::add(q, q + 16 * a_.width * 2, a_.width * 2, keys + step * 2 * kTileBytes);
    if (step == steps_ - 1) Tiles::store(scores_of(scored_) + block * kSums);
  }

  // ---- softmax
  // ---------------------------------------------------------------------------------------------------------------

  // Scores of a row of a chunk become weights, 2^(score·log₂e − largest so far).
  void soften(int64_t chunk, int64_t row) {
    const int64_t begin = chunk * kChunk, end = a_.causal && first_ + row + 1 < a_.keys ? first_ + row + 1 : a_.keys,
                  seen = end - begin;
    if (a_.bias) seen < kChunk ? soften<true, true>(chunk, row, seen) : soften<true, false>(chunk, row, kChunk);
    else seen < kChunk ? soften<false, true>(chunk, row, seen) : soften<false, false>(chunk, row, kChunk);
  }

  template <bool kBias, bool kPartly>
  void soften(int64_t chunk, int64_t row, int64_t seen) {
    constexpr int kVectors = kChunk / 16;
    const float* const scores = scores_of(chunk) + row * kBlock;
    const float* const bias = kBias ? a_.bias + (first_ + row) * a_.bias_row + chunk * kChunk : nullptr;
    const Vector scale = all(a_.scale * kLog2e);
    const auto mask = [&](int i) {
      const int64_t left = seen - i * 16;
      return static_cast<__mmask16>(!kPartly || left >= 16 ? 0xffff : left <= 0 ? 0 : (1 << left) - 1);
    };
    Vector v[kVectors];
    Vector largest = all(kLowest);
    for (int i = 0; i < kVectors; ++i) {
      const float* const from = scores + i / 2 * kSums + i % 2 * 16;
      v[i] = _mm512_mul_ps(kPartly ? _mm512_maskz_loadu_ps(mask(i), from) : _mm512_loadu_ps(from), scale);
      if constexpr (kBias) v[i] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask(i), bias + i * 16), all(kLog2e), v[i]);
      largest = kPartly ? _mm512_mask_max_ps(largest, mask(i), largest, v[i]) : _mm512_max_ps(largest, v[i]);
    }
    const float highest = _mm512_reduce_max_ps(largest);
    before_[row] = largest_[row];
    if (highest > largest_[row]) largest_[row] = highest;
    const Vector base = all(largest_[row]);
    uint16_t* const weights = reinterpret_cast<uint16_t*>(weights_of(chunk)) + row * kChunk;
    Vector total = all(0);
    for (int i = 0; i < kVectors; ++i) {
      v[i] = exp2(_mm512_sub_ps(v[i], base));
      if constexpr (kPartly) v[i] = _mm512_maskz_mov_ps(mask(i), v[i]);
      total = _mm512_add_ps(total, v[i]);
      if (i % 2) store(weights + i / 2 * 32, {v[i - 1], v[i]}, ~0u);
    }
    _mm512_storeu_ps(parts_ + row * 16, total);
  }

  // Before a chunk's weights are multiplied: sums of the chunks before come down to its largest score.
  void take_in(int64_t chunk) {
    for (int64_t row = 0; row < rows_; row += 16) {
      const Vector before = _mm512_loadu_ps(before_ + row);
      const Vector largest = _mm512_loadu_ps(largest_ + row);
      const Vector factors = exp2(_mm512_sub_ps(before, largest));
      _mm512_storeu_ps(before_ + row, _mm512_mask_mov_ps(factors, _mm512_cmp_ps_mask(before, largest, _CMP_EQ_OQ), all(1)));
    }
    for (int64_t row = 0; row < rows_; ++row) {
      const Vector factor = all(before_[row]);
      float* const total = totals_ + row * 16;
      _mm512_storeu_ps(total, _mm512_fmadd_ps(_mm512_loadu_ps(total), factor, _mm512_loadu_ps(parts_ + row * 16)));
      if (chunk == 0 || before_[row] == 1) continue;
      for (int64_t column = 0; column < steps_; ++column) {
        float* const sums = results_ + column * kSums + row * kBlock;
        const Pair v = load(sums, ~0u);
        store(sums, {_mm512_mul_ps(v.low, factor), _mm512_mul_ps(v.high, factor)}, ~0u);
      }
    }
  }

  void write() const {
    for (int64_t row = 0; row < rows_; ++row) {
      const Vector factor = all(1 / _mm512_reduce_add_ps(_mm512_loadu_ps(totals_ + row * 16)));
      uint16_t* const out = reinterpret_cast<uint16_t*>(a_.out + (first_ + row) * a_.out_row);
      for (int64_t column = 0; column < steps_; ++column) {
        const Pair v = load(results_ + column * kSums + row * kBlock, ~0u);
        store(out + column * kBlock, {_mm512_mul_ps(v.low, factor), _mm512_mul_ps(v.high, factor)}, ~0u);
      }
    }
  }

  const TileAttention& a_;
  const int64_t first_, rows_, seen_, chunks_, steps_;
  char *const queries_, *const weights_;
  float *const scores_, *const results_, *const totals_, *const parts_, *const largest_, *const before_;
  int64_t weighted_ = -1, scored_ = -1;                   // chunks whose products are under way
  int64_t value_products_ = 0, products_ = 0, done_ = 0;  // of them
};

}  // namespace
}  // namespace fude::cpu
