// LayerNorm and RMSNorm over the last dimension, with what follows them fused in: weight and bias, or shift and scale of a
// batch.
//   y = (x − mean)·rsqrt(var + eps)·weight + bias,  y·(1 + scale) + shift
// One group of threads for each row, the row in registers: it is read once and written once. Limit: memory bandwidth.
#include "cuda/norm.h"

#include "cuda/ceil_div.h"
#include "cuda/rows.cuh"
#include "fude/error.h"

namespace fude::cuda {

namespace {

constexpr int kThreads = 256;

struct Affine {
  const float *weight, *bias;      // [width] or none
  const float *scale, *shift;      // [batches, width] or none
  int64_t stride, rows_per_batch;  // of scale and shift
  float eps;
  bool centred;  // LayerNorm; otherwise RMSNorm
};

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
__global__ void __launch_bounds__(kThreads) norm_kernel(Rows<Out> out, Rows<In> x, Affine affine) {
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
__global__ void __launch_bounds__(kThreads) any_norm_kernel(Rows<Out> out, Rows<In> x, Affine affine) {
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

template <class Out, class In>
void launch(cudaStream_t stream, const Tensor& out, const Tensor& x, const Affine& affine) {
  const Rows<Out> to = rows_of<Out>(out);
  const Rows<In> from = rows_of<In>(x);
  const auto blocks = [&](int64_t lanes) { return static_cast<unsigned>(ceil_div(from.count * lanes, kThreads)); };
  const bool vectors = from.width % 8 == 0 && rows_aligned(x, 8 * sizeof(In)) && rows_aligned(out, 8 * sizeof(Out));
  if (vectors && from.width <= 64) norm_kernel<Out, In, 8, 1><<<blocks(8), kThreads, 0, stream>>>(to, from, affine);
  else if (vectors && from.width <= 512) norm_kernel<Out, In, 32, 2><<<blocks(32), kThreads, 0, stream>>>(to, from, affine);
  else if (vectors && from.width <= 1536) norm_kernel<Out, In, 32, 6><<<blocks(32), kThreads, 0, stream>>>(to, from, affine);
  else if (vectors && from.width <= 2560) norm_kernel<Out, In, 32, 10><<<blocks(32), kThreads, 0, stream>>>(to, from, affine);
  else if (vectors && from.width <= 4096)
    norm_kernel<Out, In, kThreads, 2><<<blocks(kThreads), kThreads, 0, stream>>>(to, from, affine);
  else any_norm_kernel<Out, In><<<blocks(32), kThreads, 0, stream>>>(to, from, affine);
  check(cudaGetLastError(), "normalising");
}

void norm(cudaStream_t stream, const Tensor& out, const Tensor& x, const Affine& affine) {
  with_type(out.dtype, [&](auto o) {
    using Out = decltype(o);
    if (x.dtype == DType::f32) launch<Out, float>(stream, out, x, affine);
    else
      with_type(x.dtype, [&](auto i) {
        using In = decltype(i);
        if constexpr (std::is_same_v<In, Out> || std::is_same_v<Out, float>) launch<Out, In>(stream, out, x, affine);
        else throw Error(Code::device, "a norm from one narrow type to another is not there");
      });
  });
}

}  // namespace

void layer_norm(cudaStream_t stream, const Tensor& out, const Tensor& x, const Norm& w, float eps) {
  norm(stream, out, x,
       {.weight = w.weight.as<float>(),
        .bias = w.bias.as<float>(),
        .scale = nullptr,
        .shift = nullptr,
        .stride = 0,
        .rows_per_batch = 1,
        .eps = eps,
        .centred = true});
}

void rms_norm(cudaStream_t stream, const Tensor& out, const Tensor& x, const Tensor& weight, float eps) {
  norm(stream, out, x,
       {.weight = weight.as<float>(),
        .bias = nullptr,
        .scale = nullptr,
        .shift = nullptr,
        .stride = 0,
        .rows_per_batch = 1,
        .eps = eps,
        .centred = false});
}

void norm_modulate(cudaStream_t stream, const Tensor& out, const Tensor& x, const Tensor& shift, const Tensor& scale,
                   float eps) {
  norm(stream, out, x,
       {.weight = nullptr,
        .bias = nullptr,
        .scale = scale.as<float>(),
        .shift = shift.as<float>(),
        .stride = scale.stride[0],
        .rows_per_batch = x.dim(1),
        .eps = eps,
        .centred = true});
}

}  // namespace fude::cuda
