// One thread for each vector of neighbouring elements (or each element, where rows are not aligned). Limit: memory bandwidth.
#include "cuda/elementwise.h"

#include "cuda/ceil_div.h"
#include "cuda/rows.cuh"
#include "fude/error.h"

namespace fude::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kVector = 4;

unsigned blocks_for(int64_t threads) { return static_cast<unsigned>(ceil_div(threads, kThreads)); }
__device__ int64_t thread_index() { return static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; }

// to[r][i] = f(to[r][i], from[r][i], r, i)
template <int vector, bool reads_out, class Out, class In, class F>
__global__ void __launch_bounds__(kThreads) each_kernel(Rows<Out> to, Rows<In> from, F f) {
  const int64_t columns = to.width / vector;
  const int64_t thread = thread_index();
  if (thread >= to.count * columns) return;
  const int64_t row = thread / columns, at = thread % columns * vector;
  float x[vector], y[vector] = {};
  load(x, from[row] + at);
  if constexpr (reads_out) load(y, to[row] + at);
#pragma unroll
  for (int i = 0; i < vector; ++i) y[i] = f(y[i], x[i], row, at + i);
  store(to[row] + at, y);
}

template <bool reads_out, class F>
void each(cudaStream_t stream, const Tensor& out, const Tensor& x, const char* doing, F f) {
  with_type(out.dtype, [&](auto o) {
    with_type(x.dtype, [&](auto i) {
      using Out = decltype(o);
      using In = decltype(i);
      const Rows<Out> to = rows_of<Out>(out);
      const Rows<In> from = rows_of<In>(x);
      const bool vectors = to.width % kVector == 0 && rows_aligned(out, kVector * size_of(out.dtype)) &&
                           rows_aligned(x, kVector * size_of(x.dtype));
      if (vectors)
        each_kernel<kVector, reads_out><<<blocks_for(to.count * to.width / kVector), kThreads, 0, stream>>>(to, from, f);
      else each_kernel<1, reads_out><<<blocks_for(to.count * to.width), kThreads, 0, stream>>>(to, from, f);
    });
  });
  check(cudaGetLastError(), doing);
}

// The vectors [batches, width] that belong to the rows of x [batches, rows, width].
struct PerBatch {
  const float* values;
  int64_t stride, rows;
  __device__ float at(int64_t row, int64_t column) const { return values[row / rows * stride + column]; }
};
PerBatch per_batch(const Tensor& vectors, const Tensor& x) { return {vectors.as<float>(), vectors.stride[0], x.dim(1)}; }

__global__ void __launch_bounds__(kThreads) to_bytes_kernel(uint8_t* out, const float* pixels, int64_t n) {
  const int64_t i = thread_index();
  if (i < n) out[i] = static_cast<uint8_t>(rintf(fminf(fmaxf(0.5f * pixels[i] + 0.5f, 0.0f), 1.0f) * 255.0f));
}

__global__ void __launch_bounds__(kThreads) cfg_kernel(float* out, const float* v, int64_t n, float guidance) {
  const int64_t i = thread_index();
  if (i < n) out[i] = v[i] + guidance * (v[n + i] - v[i]);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    patchify_kernel(T* out, const float* latents, int64_t n, int64_t channels, int64_t height, int64_t width, int64_t patch) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const int64_t q = i % patch, p = i / patch % patch, c = i / (patch * patch) % channels,
                token = i / (patch * patch * channels);
  const int64_t columns = width / patch, rows = height / patch;
  const int64_t tx = token % columns, ty = token / columns % rows, b = token / (columns * rows);
  out[i] = from_float<T>(latents[((b * channels + c) * height + ty * patch + p) * width + tx * patch + q]);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    unpatchify_kernel(float* out, const T* tokens, int64_t n, int64_t channels, int64_t height, int64_t width, int64_t patch) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const int64_t x = i % width, y = i / width % height, c = i / (width * height) % channels, b = i / (width * height * channels);
  const int64_t token = (b * (height / patch) + y / patch) * (width / patch) + x / patch;
  out[i] = to_float(tokens[((token * patch + y % patch) * patch + x % patch) * channels + c]);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    to_nhwc_kernel(T* out, const float* latents, int64_t n, int64_t channels, int64_t pixels, float scale, float shift) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const int64_t c = i % channels, p = i / channels % pixels, b = i / (channels * pixels);
  out[i] = from_float<T>(latents[(b * channels + c) * pixels + p] * scale + shift);
}

template <class T>
__global__ void __launch_bounds__(kThreads) find_non_finite_kernel(Rows<T> x, int* found) {
  const int64_t i = thread_index();
  if (i >= x.count * x.width) return;
  if (!isfinite(to_float(x[i / x.width][i % x.width]))) *found = 1;  // a benign race: every writer writes the same
}

}  // namespace

void copy(cudaStream_t stream, const Tensor& out, const Tensor& x) {
  each<false>(stream, out, x, "copying", [] __device__(float, float v, int64_t, int64_t) { return v; });
}

void activate(cudaStream_t stream, const Tensor& out, const Tensor& x, Activation activation) {
  each<false>(stream, out, x, "activating",
              [activation] __device__(float, float v, int64_t, int64_t) { return activate(activation, v); });
}

void add(cudaStream_t stream, const Tensor& x, const Tensor& y) {
  each<true>(stream, x, y, "adding", [] __device__(float a, float b, int64_t, int64_t) { return a + b; });
}

void multiply(cudaStream_t stream, const Tensor& x, const Tensor& y) {
  each<true>(stream, x, y, "multiplying", [] __device__(float a, float b, int64_t, int64_t) { return a * b; });
}

void add_gated(cudaStream_t stream, const Tensor& x, const Tensor& gate, const Tensor& y) {
  each<true>(stream, x, y, "adding",
             [g = per_batch(gate, x)] __device__(float a, float b, int64_t row, int64_t i) { return a + g.at(row, i) * b; });
}

void modulate(cudaStream_t stream, const Tensor& out, const Tensor& x, const Tensor& shift, const Tensor& scale) {
  each<false>(stream, out, x, "modulating",
              [m = per_batch(scale, x), s = per_batch(shift, x)] __device__(float, float v, int64_t row, int64_t i) {
                return v * (1.0f + m.at(row, i)) + s.at(row, i);
              });
}

void axpy(cudaStream_t stream, const Tensor& out, const Tensor& x, const Tensor& factor) {
  each<true>(stream, out, x, "adding",
             [f = factor.as<float>()] __device__(float a, float b, int64_t, int64_t) { return a + *f * b; });
}

void to_bytes(cudaStream_t stream, const Tensor& out, const Tensor& pixels) {
  to_bytes_kernel<<<blocks_for(out.numel()), kThreads, 0, stream>>>(out.as<uint8_t>(), pixels.as<float>(), out.numel());
  check(cudaGetLastError(), "making bytes of pixels");
}

void cfg(cudaStream_t stream, const Tensor& out, const Tensor& v, float guidance) {
  cfg_kernel<<<blocks_for(out.numel()), kThreads, 0, stream>>>(out.as<float>(), v.as<float>(), out.numel(), guidance);
  check(cudaGetLastError(), "guiding");
}

void patchify(cudaStream_t stream, const Tensor& out, const Tensor& latents, int64_t patch) {
  with_type(out.dtype, [&](auto zero) {
    using T = decltype(zero);
    patchify_kernel<T><<<blocks_for(out.numel()), kThreads, 0, stream>>>(out.as<T>(), latents.as<float>(), out.numel(),
                                                                         latents.dim(1), latents.dim(2), latents.dim(3), patch);
  });
  check(cudaGetLastError(), "cutting patches");
}

void unpatchify(cudaStream_t stream, const Tensor& out, const Tensor& tokens, int64_t patch) {
  with_type(tokens.dtype, [&](auto zero) {
    using T = decltype(zero);
    unpatchify_kernel<T><<<blocks_for(out.numel()), kThreads, 0, stream>>>(out.as<float>(), tokens.as<T>(), out.numel(),
                                                                           out.dim(1), out.dim(2), out.dim(3), patch);
  });
  check(cudaGetLastError(), "joining patches");
}

void to_nhwc(cudaStream_t stream, const Tensor& out, const Tensor& latents, float scale, float shift) {
  with_type(out.dtype, [&](auto zero) {
    using T = decltype(zero);
    to_nhwc_kernel<T><<<blocks_for(out.numel()), kThreads, 0, stream>>>(
        out.as<T>(), latents.as<float>(), out.numel(), latents.dim(1), latents.dim(2) * latents.dim(3), scale, shift);
  });
  check(cudaGetLastError(), "turning latents");
}

void find_non_finite(cudaStream_t stream, const Tensor& x, int* found) {
  with_type(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    const Rows<T> rows = rows_of<T>(x);
    find_non_finite_kernel<T><<<blocks_for(rows.count * rows.width), kThreads, 0, stream>>>(rows, found);
  });
  check(cudaGetLastError(), "looking for values that are not numbers");
}

}  // namespace fude::cuda
