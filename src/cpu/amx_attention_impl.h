// The loops of AMX attention (amx_attention.h), templated on the tiles as in amx_gemm_impl.h.
#pragma once

#include <stdint.h>
#include <string.h>

#include "cpu/amx_attention.h"
#include "cpu/avx512_math.h"

namespace fude::cpu {
namespace {

constexpr float kLowest = -1e30f;  // below every score, but finite: the difference of two infinities is NaN

template <class Tiles>
class AttentionKernel {
 public:
  AttentionKernel(const AttentionHead& attention, int64_t first, void* scratch)
      : a_(attention),
        first_(first),
        rows_(a_.queries - first < kBlock ? a_.queries - first : kBlock),
        seen_(a_.causal && first + rows_ < a_.keys ? first + rows_ : a_.keys),
        chunks_((seen_ + kChunk - 1) / kChunk),
        width_k_tiles_(a_.width / kTileK),
        queries_(static_cast<char*>(scratch)),
        weights_(queries_ + kBlock * a_.width * 2),
        scores_(reinterpret_cast<float*>(weights_ + 2 * kBlock * kChunk * 2)),
        acc_(scores_ + 2 * kBlock * kChunk),
        row_sums_(acc_ + kBlock * a_.width),
        chunk_sums_(row_sums_ + kBlock * 16),
        row_max_(chunk_sums_ + kBlock * 16),
        previous_max_(row_max_ + kBlock) {}

  void run() {
    const NoSubnormals scope;
    copy_queries();
    Tiles::configure(kBlock);
    begin_gemms(-1, 0);
    advance(k_tiles_);
    for (int64_t chunk = 0; chunk < chunks_; ++chunk) {
      if (chunk > 0) rescale(chunk - 1);
      begin_gemms(chunk - 1, chunk + 1);
      for (int64_t row = 0; row < rows_; ++row) {
        softmax_row(chunk, row);
        advance(k_tiles_ * (row + 1) / rows_);
      }
    }
    rescale(chunks_ - 1);
    begin_gemms(chunks_ - 1, chunks_);
    advance(k_tiles_);
    Tiles::release();
    write_out();
  }

 private:
  float* scores_of(int64_t chunk) const { return scores_ + chunk % 2 * kBlock * kChunk; }
  char* weights_of(int64_t chunk) const { return weights_ + chunk % 2 * kBlock * kChunk * 2; }
  int64_t blocks_of(int64_t chunk) const {  // of keys
    const int64_t left = seen_ - chunk * kChunk;
    return chunk < 0 || left <= 0 ? 0 : in_blocks(left < kChunk ? left : kChunk);
  }

  // Makes the rows contiguous: with the stride of the tensor, many may map to the same cache set.
  void copy_queries() {
    const auto bytes = static_cast<size_t>(a_.width * 2);
    for (int64_t r = 0; r < rows_; ++r) memcpy(queries_ + r * a_.width * 2, a_.q + (first_ + r) * a_.q_row, bytes);
    memset(queries_ + rows_ * a_.width * 2, 0, static_cast<size_t>(kBlock - rows_) * bytes);
    for (int64_t r = 0; r < kBlock; ++r) row_max_[r] = kLowest;
    memset(row_sums_, 0, kBlock * 16 * sizeof(float));
    Tiles::written();
  }

  // ---- GEMMs: one k-tile of one block at a time, between rows of softmax
  // -----------------------------------------------------

  // The weights of one chunk times its values, then the queries times the keys of another; either chunk may be absent.
  void begin_gemms(int64_t weighted, int64_t scored) {
    weighted_ = weighted;
    scored_ = scored;
    value_k_tiles_ = width_k_tiles_ * blocks_of(weighted);
    k_tiles_ = value_k_tiles_ + blocks_of(scored) * width_k_tiles_;
    done_ = 0;
    Tiles::written();
  }

  void advance(int64_t until) {
    for (; done_ < until; ++done_) {
      if (done_ < value_k_tiles_) multiply_values(done_);
      else multiply_keys(done_ - value_k_tiles_);
    }
  }

  void multiply_values(int64_t i) {
    const int64_t blocks = blocks_of(weighted_);
    const int64_t column = i / blocks;
    const int64_t block = i % blocks;
    float* const acc = acc_ + column * kAccumulators;
    if (block == 0 && weighted_ == 0) Tiles::clear();
    else if (block == 0) Tiles::load(acc);
    const char* const w = weights_of(weighted_) + block * kBlock * 2;
    const char* const values = a_.values_packed + (weighted_ * (kChunk / kBlock) + block) * packed_block_bytes(a_.width);
    Tiles::add(w, w + 16 * kChunk * 2, kChunk * 2, values + column * 2 * kTileBytes);
    if (block == blocks - 1) Tiles::store(acc);
  }

  void multiply_keys(int64_t i) {
    const int64_t block = i / width_k_tiles_, k_tile = i % width_k_tiles_;
    if (k_tile == 0) Tiles::clear();
    const char* const q = queries_ + k_tile * kTileK * 2;
    const char* const keys = a_.keys_packed + (scored_ * (kChunk / kBlock) + block) * packed_block_bytes(a_.width);
    Tiles::add(q, q + 16 * a_.width * 2, a_.width * 2, keys + k_tile * 2 * kTileBytes);
    if (k_tile == width_k_tiles_ - 1) Tiles::store(scores_of(scored_) + block * kAccumulators);
  }

  // ---- softmax
  // ---------------------------------------------------------------------------------------------------------------

  // Scores of a row of a chunk become weights, 2^(score·log₂e − largest so far).
  void softmax_row(int64_t chunk, int64_t row) {
    const int64_t begin = chunk * kChunk, end = a_.causal && first_ + row + 1 < a_.keys ? first_ + row + 1 : a_.keys,
                  seen = end - begin;
    if (a_.bias) seen < kChunk ? softmax_row<true, true>(chunk, row, seen) : softmax_row<true, false>(chunk, row, kChunk);
    else seen < kChunk ? softmax_row<false, true>(chunk, row, seen) : softmax_row<false, false>(chunk, row, kChunk);
  }

  template <bool kBias, bool kPartly>
  void softmax_row(int64_t chunk, int64_t row, int64_t seen) {
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
      const float* const from = scores + i / 2 * kAccumulators + i % 2 * 16;
      v[i] = _mm512_mul_ps(kPartly ? _mm512_maskz_loadu_ps(mask(i), from) : _mm512_loadu_ps(from), scale);
      if constexpr (kBias) v[i] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask(i), bias + i * 16), all(kLog2e), v[i]);
      largest = kPartly ? _mm512_mask_max_ps(largest, mask(i), largest, v[i]) : _mm512_max_ps(largest, v[i]);
    }
    const float highest = _mm512_reduce_max_ps(largest);
    previous_max_[row] = row_max_[row];
    if (highest > row_max_[row]) row_max_[row] = highest;
    const Vector base = all(row_max_[row]);
    uint16_t* const weights = reinterpret_cast<uint16_t*>(weights_of(chunk)) + row * kChunk;
    Vector total = all(0);
    for (int i = 0; i < kVectors; ++i) {
      v[i] = exp2(_mm512_sub_ps(v[i], base));
      if constexpr (kPartly) v[i] = _mm512_maskz_mov_ps(mask(i), v[i]);
      total = _mm512_add_ps(total, v[i]);
      if (i % 2) store(weights + i / 2 * 32, {v[i - 1], v[i]}, ~0u);
    }
    _mm512_storeu_ps(chunk_sums_ + row * 16, total);
  }

  // Before a chunk's weights are multiplied by its values: rescales the accumulators to the new largest score.
  void rescale(int64_t chunk) {
    for (int64_t row = 0; row < rows_; row += 16) {
      const Vector before = _mm512_loadu_ps(previous_max_ + row);
      const Vector largest = _mm512_loadu_ps(row_max_ + row);
      const Vector factors = exp2(_mm512_sub_ps(before, largest));
      _mm512_storeu_ps(previous_max_ + row,
                       _mm512_mask_mov_ps(factors, _mm512_cmp_ps_mask(before, largest, _CMP_EQ_OQ), all(1)));
    }
    for (int64_t row = 0; row < rows_; ++row) {
      const Vector factor = all(previous_max_[row]);
      float* const total = row_sums_ + row * 16;
      _mm512_storeu_ps(total, _mm512_fmadd_ps(_mm512_loadu_ps(total), factor, _mm512_loadu_ps(chunk_sums_ + row * 16)));
      if (chunk == 0 || previous_max_[row] == 1) continue;
      for (int64_t column = 0; column < width_k_tiles_; ++column) {
        float* const acc = acc_ + column * kAccumulators + row * kBlock;
        const Pair v = load(acc, ~0u);
        store(acc, {_mm512_mul_ps(v.low, factor), _mm512_mul_ps(v.high, factor)}, ~0u);
      }
    }
  }

  void write_out() const {
    for (int64_t row = 0; row < rows_; ++row) {
      const Vector factor = all(1 / _mm512_reduce_add_ps(_mm512_loadu_ps(row_sums_ + row * 16)));
      uint16_t* const out = reinterpret_cast<uint16_t*>(a_.out + (first_ + row) * a_.out_row);
      for (int64_t column = 0; column < width_k_tiles_; ++column) {
        const Pair v = load(acc_ + column * kAccumulators + row * kBlock, ~0u);
        store(out + column * kBlock, {_mm512_mul_ps(v.low, factor), _mm512_mul_ps(v.high, factor)}, ~0u);
      }
    }
  }

  const AttentionHead& a_;
  const int64_t first_, rows_, seen_, chunks_, width_k_tiles_;
  char *const queries_, *const weights_;
  float *const scores_, *const acc_, *const row_sums_, *const chunk_sums_, *const row_max_, *const previous_max_;
  int64_t weighted_ = -1, scored_ = -1;                 // chunks whose GEMMs are in progress
  int64_t value_k_tiles_ = 0, k_tiles_ = 0, done_ = 0;  // of them
};

}  // namespace
}  // namespace fude::cpu
