// GroupNorm over all pixels of an image, then optionally silu. x NHWC.
// Three passes: partial sums of every channel over pieces of the image; scale and shift of every channel; y = silu(x·scale +
// shift). Limit: memory bandwidth; x is read twice and y written once. The pieces are parts of rows, depend on the
// shape of the whole image and the GPU only, and their sums are reduced in one order: the same image gives the same bits, also
// in strips.
#include "cuda/group_norm_params.h"
#include "cuda/kernel.cuh"
#include "cuda/rows.cuh"

namespace fude::cuda {

namespace {

constexpr int kThreads = kGroupThreads;
constexpr int64_t kPixelsInF32 = 64;  // a thread accumulates so many in f32, then adds that to f64

// Sums and sums of squares of each channel over one piece: sums [batch, piece, 2, channels]. Threads lie side by side along
// the channels, `vector` each, and in lines along the pixels.
template <class T, int vector>
__device__ __forceinline__ void run(const GroupSumsKernel<T, vector>& kernel) {
  const auto [sums, x, pixels, channels, pieces] = kernel;
  extern __shared__ float shared[];  // [lines][2][channels]
  const int columns = channels / vector;
  const int lines = max(1, static_cast<int>(blockDim.x) / columns);
  const int64_t piece = blockIdx.x, batch = blockIdx.y;
  const int64_t begin = piece * pixels / pieces, end = (piece + 1) * pixels / pieces;
  for (int column = threadIdx.x % columns; column < columns; column += blockDim.x) {
    const int line = columns >= static_cast<int>(blockDim.x) ? 0 : static_cast<int>(threadIdx.x) / columns;
    if (line >= lines) break;
    double sum[vector] = {}, squares[vector] = {};
    for (int64_t first = begin + line; first < end; first += kPixelsInF32 * lines) {
      float s[vector] = {}, q[vector] = {};
      const int64_t last = min(end, first + kPixelsInF32 * lines);
#pragma unroll 4
      for (int64_t p = first; p < last; p += lines) {
        float v[vector];
        load(v, x + (batch * pixels + p) * channels + column * vector);
#pragma unroll
        for (int i = 0; i < vector; ++i) {
          s[i] += v[i];
          q[i] += v[i] * v[i];
        }
      }
      for (int i = 0; i < vector; ++i) {
        sum[i] += s[i];
        squares[i] += q[i];
      }
    }
    for (int i = 0; i < vector; ++i) {
      shared[(line * 2 + 0) * channels + column * vector + i] = static_cast<float>(sum[i]);
      shared[(line * 2 + 1) * channels + column * vector + i] = static_cast<float>(squares[i]);
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < 2 * channels; i += blockDim.x) {
    double total = 0;
    for (int line = 0; line < lines; ++line) total += shared[line * 2 * channels + i];
    sums[(batch * pieces + piece) * 2 * channels + i] = static_cast<float>(total);
  }
}

// One block for each group of each image: scale and shift of its channels, [batch, 2, channels].
__device__ __forceinline__ void run(const GroupFactorsKernel& kernel) {
  const auto [factors, sums, weight, bias, pixels, channels, pieces, groups, eps] = kernel;
  __shared__ double shared[2][kThreads];
  const int group = blockIdx.x, width = channels / groups;
  const int64_t batch = blockIdx.y;
  double sum[2] = {};
  for (int64_t i = threadIdx.x; i < pieces * width; i += kThreads)
    for (int k = 0; k < 2; ++k) sum[k] += sums[((batch * pieces + i / width) * 2 + k) * channels + group * width + i % width];
  for (int k = 0; k < 2; ++k) shared[k][threadIdx.x] = sum[k];
  for (int step = kThreads / 2; step > 0; step /= 2) {
    __syncthreads();
    if (threadIdx.x < step)
      for (auto& column : shared) column[threadIdx.x] += column[threadIdx.x + step];
  }
  __syncthreads();
  const double count = static_cast<double>(pixels * width), mean = shared[0][0] / count;
  const double variance = shared[1][0] / count - mean * mean;
  const double inverse = 1.0 / sqrt((variance < 0 ? 0 : variance) + eps);  // NaN stays NaN
  for (int i = threadIdx.x; i < width; i += kThreads) {
    const int channel = group * width + i;
    factors[(batch * 2 + 0) * channels + channel] = static_cast<float>(inverse * weight[channel]);
    factors[(batch * 2 + 1) * channels + channel] = static_cast<float>(bias[channel] - mean * inverse * weight[channel]);
  }
}

// Threads lie as for the sums and keep their channels' factors; each prefetches kPrefetch pixels before it uses one. out may
// be x.
constexpr int kPrefetch = 4;

template <class T, int vector>
__device__ __forceinline__ void run(const ScaleShiftKernel<T, vector>& kernel) {
  const auto [out, x, factors, pixels, channels, activation] = kernel;
  const int columns = channels / vector;
  const int lines = max(1, kThreads / columns);
  const int line = columns >= kThreads ? 0 : static_cast<int>(threadIdx.x) / columns;
  if (line >= lines) return;
  const int64_t batch = blockIdx.y, first = int64_t{blockIdx.x} * lines * kPixelsOfThread;
  const int count = static_cast<int>(min(int64_t{lines} * kPixelsOfThread, pixels - first));
  for (int column = static_cast<int>(threadIdx.x) % columns; column < columns; column += kThreads) {
    const int channel = column * vector;
    const int64_t at = (batch * pixels + first) * channels + channel;
    float scale[vector], shift[vector];
    load(scale, factors + batch * 2 * channels + channel);
    load(shift, factors + (batch * 2 + 1) * channels + channel);
    for (int pixel = line; pixel < count; pixel += kPrefetch * lines) {
      float v[kPrefetch][vector];
#pragma unroll
      for (int i = 0; i < kPrefetch; ++i)
        if (pixel + i * lines < count) load(v[i], x + at + int64_t{pixel + i * lines} * channels);
#pragma unroll
      for (int i = 0; i < kPrefetch; ++i) {
        if (pixel + i * lines >= count) break;
#pragma unroll
        for (int k = 0; k < vector; ++k) {
          v[i][k] = v[i][k] * scale[k] + shift[k];
          if (activation == Activation::silu) v[i][k] = activate(Activation::silu, v[i][k]);
        }
        store(out + at + int64_t{pixel + i * lines} * channels, v[i]);
      }
    }
  }
}

}  // namespace

FUDE_GROUP_NORM_KERNELS(FUDE_DEFINE_SMALL_KERNEL)

}  // namespace fude::cuda
