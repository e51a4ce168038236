// Where a product's operands come from. An operand is a matrix with neighbouring k, real (MatrixRows) or imagined (ConvPixels: row m
// is an output pixel, k runs over (ky, kx, channel) of what it sees). Each thread brings the 16 bytes at one k of kRows rows per step:
// address(i) is where they lie, valid(i) whether they exist (zeros otherwise), advance(n) goes on by n along k.
#pragma once

#include <cstdint>

#include "cuda/elements.cuh"

namespace fude::cuda {

template <class T>
struct MatrixOperand {
  const T* data;
  int64_t batch_stride, row_stride;  // in elements, multiples of 16 bytes
  int rows, batch_rows, k;           // rows of all batches, of one batch
};

template <class T>
struct ConvOperand {
  const T* data;                    // [n, height, width, channels]
  int height, width, channels;      // channels a multiple of 16 bytes
  int rows, out_height, out_width;  // rows: output pixels of all pictures
  int kernel, stride, before;       // before: padding above and to the left
};

// Rows beyond the last repeat it: what is made of them is never stored.
template <class T, int kRows>
class MatrixRows {
 public:
  using Params = MatrixOperand<T>;

  __device__ MatrixRows(const Params& p, int row, int step, int k) : data_(p.data + k), left_(p.k - k) {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int m = min(row + i * step, p.rows - 1), batch = m / p.batch_rows;
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

template <class T, int kRows, bool kUpsample>
class ConvPixels {
 public:
  using Params = ConvOperand<T>;

  __device__ ConvPixels(const Params& p, int row, int step, int k)
      : data_(p.data), width_(p.width), channels_(p.channels), kernel_(p.kernel), before_(p.before), channel_(k) {
    constexpr int zoom = kUpsample ? 2 : 1;
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int m = row + i * step, x = m % p.out_width, y = m / p.out_width % p.out_height, n = m / p.out_width / p.out_height;
      const int top = y * p.stride - p.before, left = x * p.stride - p.before;
      pixel_[i] = (n * p.height + y * p.stride / zoom) * p.width + x * p.stride / zoom;
      taps_[i] = 0;
      for (int tap = 0; tap < p.kernel * p.kernel; ++tap) {
        const int sy = top + tap / p.kernel, sx = left + tap % p.kernel;
        const bool inside = m < p.rows && sy >= 0 && sy < p.height * zoom && sx >= 0 && sx < p.width * zoom;
        taps_[i] |= static_cast<uint32_t>(inside) << tap;
      }
      if (kUpsample) taps_[i] |= static_cast<uint32_t>(x & 1) << kOddX | static_cast<uint32_t>(y & 1) << kOddY;
    }
    settle();
  }
  __device__ const T* address(int i) const {
    int pixel = pixel_[i];
    if constexpr (kUpsample) {  // the shift rounds down: which source pixel a tap sees depends on the output pixel being odd
      const int odd_x = taps_[i] >> kOddX & 1, odd_y = taps_[i] >> kOddY & 1;
      pixel += ((dy_ + odd_y) >> 1) * width_ + ((dx_ + odd_x) >> 1);
    }
    return seen_ + static_cast<int64_t>(pixel) * channels_;
  }
  __device__ bool valid(int i) const { return taps_[i] >> tap_ & 1; }
  __device__ void advance(int n) {
    channel_ += n;
    settle();
  }

 private:
  // Bits of taps_ above all taps, real ones and those a last step of up to 8 chunks may run into.
  static constexpr int kOddX = 30, kOddY = 31;

  __device__ void settle() {
    for (; channel_ >= channels_; channel_ -= channels_) ++tap_;
    const int ky = kernel_ == 1 ? 0 : tap_ / 3;
    dy_ = ky - before_;
    dx_ = kernel_ == 1 ? 0 : tap_ - 3 * ky - before_;
    seen_ = data_ + channel_;
    if constexpr (!kUpsample) seen_ += static_cast<int64_t>(dy_ * width_ + dx_) * channels_;
  }

  const T *data_, *seen_;
  int width_, channels_, kernel_, before_;
  int channel_, tap_ = 0, dy_, dx_;
  int pixel_[kRows];
  uint32_t taps_[kRows];  // bit t: tap t lies inside the picture
};

}  // namespace fude::cuda
