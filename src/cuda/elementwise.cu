// One thread for each vector of neighbouring elements (or each element, where rows are not aligned). Limit: memory bandwidth.
#include "cuda/elementwise.h"

#include "cuda/ceil_div.h"
#include "cuda/rows.cuh"
#include "fude/error.h"

namespace fude::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kVector = 4;
constexpr int kWideThreads = 1024;  // where a block sums up a picture

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

__global__ void __launch_bounds__(kThreads)
    cfg_skip_kernel(float* out, const float* v, int64_t n, float guidance, float skip_scale) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const float guided = v[i] + guidance * (v[n + i] - v[i]);
  out[i] = guided + skip_scale * (v[n + i] - v[2 * n + i]);
}

// Sums over a block, of which thread 0 has the result. Few values a thread in f32, those sums in f64.
__device__ double block_sum(float value) {
  __shared__ double sums[kWideThreads];
  sums[threadIdx.x] = value;
  for (int half = kWideThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  __syncthreads();
  const double sum = sums[0];
  __syncthreads();
  return sum;
}

__device__ double squares_around_mean(const float* x, int64_t n) {
  float sum = 0, squares = 0;
  for (int64_t i = threadIdx.x; i < n; i += kWideThreads) {
    sum += x[i];
    squares += x[i] * x[i];
  }
  const double total = block_sum(sum);
  return block_sum(squares) - total * total / static_cast<double>(n);
}

// A block for each picture of n values.
__global__ void __launch_bounds__(kWideThreads) rescale_kernel(float* x, const float* like, int64_t n, float amount) {
  x += blockIdx.x * n;
  const double ratio = squares_around_mean(like + blockIdx.x * n, n) / squares_around_mean(x, n);
  const float factor = amount * static_cast<float>(sqrt(ratio)) + (1.0f - amount);
  for (int64_t i = threadIdx.x; i < n; i += kWideThreads) x[i] *= factor;
}

// A thread for each element: it reads all terms before it writes any part.
__global__ void __launch_bounds__(kThreads) combine_kernel(float* state, const float* v, const float* noise,
                                                           const float* coefficients, int64_t n, int parts, int terms) {
  const int64_t i = thread_index();
  if (i >= n) return;
  float from[kMostTerms] = {};
#pragma unroll
  for (int term = 0; term < kMostTerms; ++term) {
    if (term < parts) from[term] = state[term * n + i];
    else if (term == parts) from[term] = v[i];
    else if (term < terms) from[term] = noise[i];
  }
#pragma unroll
  for (int part = 0; part < kMostTerms - 1; ++part) {
    if (part >= parts) continue;
    const float* factors = coefficients + part * terms;
    float sum = 0;
#pragma unroll
    for (int term = 0; term < kMostTerms; ++term) {
      if (term >= terms || factors[term] == 0) continue;
      sum = term == 0 ? __fmul_rn(factors[0], from[0]) : __fmaf_rn(factors[term], from[term], sum);
    }
    state[part * n + i] = sum;
  }
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

void to_bytes(cudaStream_t stream, const Tensor& out, const Tensor& pixels) {
  to_bytes_kernel<<<blocks_for(out.numel()), kThreads, 0, stream>>>(out.as<uint8_t>(), pixels.as<float>(), out.numel());
  check(cudaGetLastError(), "making bytes of pixels");
}

void cfg(cudaStream_t stream, const Tensor& out, const Tensor& v, const CfgOptions& options) {
  const int64_t n = out.numel();
  if (options.skip_scale)
    cfg_skip_kernel<<<blocks_for(n), kThreads, 0, stream>>>(out.as<float>(), v.as<float>(), n, options.guidance,
                                                            *options.skip_scale);
  else cfg_kernel<<<blocks_for(n), kThreads, 0, stream>>>(out.as<float>(), v.as<float>(), n, options.guidance);
  check(cudaGetLastError(), "guiding");
}

void rescale(cudaStream_t stream, const Tensor& x, const Tensor& like, float amount) {
  rescale_kernel<<<static_cast<unsigned>(x.dim(0)), kWideThreads, 0, stream>>>(x.as<float>(), like.as<float>(),
                                                                               x.numel() / x.dim(0), amount);
  check(cudaGetLastError(), "rescaling");
}

void combine(cudaStream_t stream, const CombineCall& call) {
  const int64_t n = call.v.numel();
  combine_kernel<<<blocks_for(n), kThreads, 0, stream>>>(call.state.as<float>(), call.v.as<float>(), call.noise.as<float>(),
                                                         call.coefficients.as<float>(), n, static_cast<int>(call.parts()),
                                                         static_cast<int>(call.terms()));
  check(cudaGetLastError(), "combining");
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
