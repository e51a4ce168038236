// LayerNorm and RMSNorm over the last dimension, with what follows them fused in: weight and bias, or shift and scale of a
// batch.
//   y = (x − mean)·rsqrt(var + eps)·weight + bias,  y·(1 + scale) + shift
// One group of threads for each row, the row in registers: it is read once and written once. Limit: memory bandwidth.
#include "cuda/norm_params.h"
#include "cuda/rows.cuh"

namespace fude::cuda {

namespace {

constexpr int kThreads = kNormThreads;

// The reduction over a group of 2ⁿ neighbouring threads: lanes of a warp, or the whole block.
template <int group>
__device__ float sum_of(float x) {
  constexpr int kLanes = group < 32 ? group : 32;
#pragma unroll
  for (int step = kLanes / 2; step > 0; step /= 2) x += __shfl_xor_sync(~0u, x, step, kLanes);
  if constexpr (group > 32) {
    static_assert(group == kThreads);
    __shared__ float of_warps[kThreads / 32];
    __syncthreads();  // those of the sum before have been read
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = x;
    __syncthreads();
    x = 0;
    for (float of_warp : of_warps) x += of_warp;
  }
  return x;
}

// `group` threads to a row, `vectors` vectors of 8 elements to a thread.
template <class Out, class In, int group, int vectors>
__device__ __forceinline__ void run(NormKernel<Out, In, group, vectors>*, Rows<Out> out, Rows<In> x, Affine affine) {
  const int64_t row = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / group;
  const int lane = static_cast<int>(threadIdx.x) % group;
  const bool inside = row < x.count;
  const In* from = inside ? x[row] : nullptr;
  float v[vectors][8];
  float sum = 0;
#pragma unroll
  for (int i = 0; i < vectors; ++i) {
    const int64_t at = (i * group + lane) * 8;
    if (inside && at < x.width) load(v[i], from + at);
    else
      for (float& value : v[i]) value = 0;
    for (float value : v[i]) sum += value;
  }
  const float width = static_cast<float>(x.width);
  const float mean = affine.centred ? sum_of<group>(sum) / width : 0.0f;
  float squares = 0;
#pragma unroll
  for (int i = 0; i < vectors; ++i)
    if ((i * group + lane) * 8 < x.width)
      for (float value : v[i]) squares += (value - mean) * (value - mean);
  const float inverse = rsqrtf(sum_of<group>(squares) / width + affine.eps);
  if (!inside) return;
  const int64_t batch = affine.scale ? row / affine.rows_per_batch * affine.stride : 0;
  Out* to = out[row];
#pragma unroll
  for (int i = 0; i < vectors; ++i) {
    const int64_t at = (i * group + lane) * 8;
    if (at >= x.width) break;
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      float y = (v[i][j] - mean) * inverse;
      if (affine.weight) y *= affine.weight[at + j];
      if (affine.bias) y += affine.bias[at + j];
      if (affine.scale) y = y * (1.0f + affine.scale[batch + at + j]) + affine.shift[batch + at + j];
      v[i][j] = y;
    }
    store(to + at, v[i]);
  }
}

// Any width and alignment: a warp to a row, which is read three times.
template <class Out, class In>
__device__ __forceinline__ void run(AnyNormKernel<Out, In>*, Rows<Out> out, Rows<In> x, Affine affine) {
  const int64_t row = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / 32;
  if (row >= x.count) return;
  const int lane = threadIdx.x % 32;
  const In* from = x[row];
  const float width = static_cast<float>(x.width);
  float mean = 0;
  if (affine.centred) {
    for (int64_t i = lane; i < x.width; i += 32) mean += to_float(from[i]);
    mean = sum_of<32>(mean) / width;
  }
  float squares = 0;
  for (int64_t i = lane; i < x.width; i += 32) squares += (to_float(from[i]) - mean) * (to_float(from[i]) - mean);
  const float inverse = rsqrtf(sum_of<32>(squares) / width + affine.eps);
  const int64_t batch = affine.scale ? row / affine.rows_per_batch * affine.stride : 0;
  Out* to = out[row];
  for (int64_t i = lane; i < x.width; i += 32) {
    float y = (to_float(from[i]) - mean) * inverse;
    if (affine.weight) y *= affine.weight[i];
    if (affine.bias) y += affine.bias[i];
    if (affine.scale) y = y * (1.0f + affine.scale[batch + i]) + affine.shift[batch + i];
    to[i] = from_float<Out>(y);
  }
}

}  // namespace

// What is affine is a parameter of its own. In one of more than 128 bytes the compiler does not take apart which of it is
// there, and rounds y·weight + bias twice instead of once: other bits.
#define FUDE_DEFINE_NORM_KERNEL(name, ...)                                                                                    \
  extern "C" __global__ void __launch_bounds__(__VA_ARGS__::kThreads) name(decltype(__VA_ARGS__::rows) rows, Affine affine) { \
    run(static_cast<__VA_ARGS__*>(nullptr), rows.out, rows.x, affine);                                                        \
  }
FUDE_NORM_KERNELS(FUDE_DEFINE_NORM_KERNEL)

}  // namespace fude::cuda
