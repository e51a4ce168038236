// The loaders of a GEMM's operands. An operand is a K-major matrix, real (MatrixRows) or the im2col matrix of a convolution,
// which exists only as addresses (ConvPixels: row m is an output pixel, k runs over the (ky, kx, channel) of its taps). Of each
// k-tile a thread loads the 16 bytes at one k of kRows rows: address(i) is where they lie, valid(i) whether they exist (zeros
// otherwise), advance(n) moves on by n along k.
#pragma once

#include <cstdint>

#include "cuda/elements.cuh"
#include "cuda/gemm_params.h"

namespace fude::cuda {

// Rows beyond the last repeat it: their results are never stored.
template <class T, int kRows>
class MatrixRows {
 public:
  using Params = MatrixOperand<T>;

  __device__ MatrixRows(const Params& p, int row, int row_step, int k) : data_(p.data + k), left_(p.k - k) {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int m = min(row + i * row_step, p.rows - 1);
      const int batch = m / p.batch_rows;
      offset_[i] = static_cast<uint32_t>((batch * p.batch_stride + (m - batch * p.batch_rows) * p.row_stride) / kChunk);
    }
  }
  __device__ const T* address(int i) const { return data_ + static_cast<uint64_t>(offset_[i]) * kChunk; }
  __device__ bool valid(int) const { return left_ > 0; }
  __device__ void advance(int n) { data_ += n, left_ -= n; }

 private:
  static constexpr int kChunk = 16 / sizeof(T);
  const T* data_;
  int left_;
  uint32_t offset_[kRows];  // in 16 bytes
};

template <class T, int kRows>
class ConvPixels {
 public:
  using Params = ConvOperand<T>;

  __device__ ConvPixels(const Params& p, int row, int row_step, int k)
      : data_(p.data), width_(p.width), channels_(p.channels), kernel_(p.kernel), above_(p.above), left_(p.left), channel_(k) {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int m = row + i * row_step, n = m / p.out_width / p.out_height;
      const int y = (p.out_top + m / p.out_width % p.out_height) * p.stride, x = m % p.out_width * p.stride;
      pixel_[i] = (n * p.height + y) * p.width + x;
      taps_[i] = 0;
      for (int tap = 0; tap < p.kernel * p.kernel; ++tap) {
        const int sy = y - p.above + tap / p.kernel, sx = x - p.left + tap % p.kernel;
        const bool inside = m < p.rows && sy >= 0 && sy < p.height && sx >= 0 && sx < p.width;
        taps_[i] |= static_cast<uint32_t>(inside) << tap;
      }
    }
    update_address();
  }
  __device__ const T* address(int i) const { return im2col_ + static_cast<int64_t>(pixel_[i]) * channels_; }
  __device__ bool valid(int i) const { return taps_[i] >> tap_ & 1; }
  __device__ void advance(int n) {
    channel_ += n;
    update_address();
  }

 private:
  __device__ void update_address() {
    for (; channel_ >= channels_; channel_ -= channels_) ++tap_;
    const int ky = kernel_ == 3 ? tap_ / 3 : tap_ / 2, kx = tap_ - kernel_ * ky;
    im2col_ = data_ + static_cast<int64_t>((ky - above_) * width_ + kx - left_) * channels_ + channel_;
  }

  const T *data_, *im2col_;
  int width_, channels_, kernel_, above_, left_;
  int channel_, tap_ = 0;
  int pixel_[kRows];
  uint32_t taps_[kRows];  // bit t: tap t lies inside the image; taps past the last never do
};

// The loader of an operand's kRows rows.
template <class Operand, int kRows>
struct LoaderOf;
template <class T, int kRows>
struct LoaderOf<MatrixOperand<T>, kRows> {
  using Type = MatrixRows<T, kRows>;
};
template <class T, int kRows>
struct LoaderOf<ConvOperand<T>, kRows> {
  using Type = ConvPixels<T, kRows>;
};

}  // namespace fude::cuda
