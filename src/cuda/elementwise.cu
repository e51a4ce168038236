// One thread for each vector of neighbouring elements (or each element, where rows are not aligned). Limit: memory bandwidth.
#include "cuda/elementwise_params.h"
#include "cuda/kernel.cuh"
#include "cuda/rows.cuh"

namespace fude::cuda {

namespace {

constexpr int kThreads = kElementThreads;
constexpr int kWideThreads = RescaleKernel::kThreads;

__device__ int64_t thread_index() { return static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; }

__device__ float at(const PerBatch& v, int64_t row, int64_t column) { return v.values[row / v.rows * v.stride + column]; }

// One kernel for all operations: memory is the limit, and a kernel for each would be six times as many to load. fmaf, since
// the compiler may merge one operation's addition with another's, and then rounds twice.
template <int vector, class Out, class In>
__device__ __forceinline__ void run(const EachKernel<vector, Out, In>& kernel) {
  const Rows<Out>& to = kernel.to;
  const Rows<In>& from = kernel.from;
  const int64_t columns = to.width / vector;
  const int64_t thread = thread_index();
  if (thread >= to.count * columns) return;
  const int64_t row = thread / columns, first = thread % columns * vector;
  float x[vector], y[vector] = {};
  load(x, from[row] + first);
  if (reads_out(kernel.what)) load(y, to[row] + first);
  const auto each = [&](auto f) {
#pragma unroll
    for (int i = 0; i < vector; ++i) y[i] = f(y[i], x[i], first + i);
  };
  switch (kernel.what) {
    case Each::copy: each([](float, float v, int64_t) { return v; }); break;
    case Each::activate: each([&](float, float v, int64_t) { return activate(kernel.activation, v); }); break;
    case Each::add: each([](float a, float b, int64_t) { return a + b; }); break;
    case Each::multiply: each([](float a, float b, int64_t) { return a * b; }); break;
    case Each::add_gated: each([&](float a, float b, int64_t i) { return fmaf(at(kernel.gate, row, i), b, a); }); break;
    case Each::modulate:
      each([&](float, float v, int64_t i) { return fmaf(v, 1.0f + at(kernel.gate, row, i), at(kernel.shift, row, i)); });
      break;
  }
  store(to[row] + first, y);
}

__device__ __forceinline__ void run(const ToBytesKernel& kernel) {
  const auto [out, pixels, n] = kernel;
  const int64_t i = thread_index();
  if (i < n) out[i] = static_cast<uint8_t>(rintf(fminf(fmaxf(0.5f * pixels[i] + 0.5f, 0.0f), 1.0f) * 255.0f));
}

__device__ __forceinline__ void run(const CfgKernel& kernel) {
  const auto [out, v, n, guidance] = kernel;
  const int64_t i = thread_index();
  if (i < n) out[i] = v[i] + guidance * (v[n + i] - v[i]);
}

__device__ __forceinline__ void run(const CfgSkipKernel& kernel) {
  const auto [out, v, n, guidance, skip_scale] = kernel;
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
__device__ __forceinline__ void run(const RescaleKernel& kernel) {
  const auto [pictures, like, n, amount] = kernel;
  float* const x = pictures + blockIdx.x * n;
  const double ratio = squares_around_mean(like + blockIdx.x * n, n) / squares_around_mean(x, n);
  const float factor = amount * static_cast<float>(sqrt(ratio)) + (1.0f - amount);
  for (int64_t i = threadIdx.x; i < n; i += kWideThreads) x[i] *= factor;
}

// A thread for each element: it reads all terms before it writes any part.
__device__ __forceinline__ void run(const CombineKernel& kernel) {
  const auto [state, v, noise, coefficients, n, parts, terms] = kernel;
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
__device__ __forceinline__ void run(const PatchifyKernel<T>& kernel) {
  const auto [out, latents, n, channels, height, width, patch] = kernel;
  const int64_t i = thread_index();
  if (i >= n) return;
  const int64_t q = i % patch, p = i / patch % patch, c = i / (patch * patch) % channels,
                token = i / (patch * patch * channels);
  const int64_t columns = width / patch, rows = height / patch;
  const int64_t tx = token % columns, ty = token / columns % rows, b = token / (columns * rows);
  out[i] = from_float<T>(latents[((b * channels + c) * height + ty * patch + p) * width + tx * patch + q]);
}

template <class T>
__device__ __forceinline__ void run(const UnpatchifyKernel<T>& kernel) {
  const auto [out, tokens, n, channels, height, width, patch] = kernel;
  const int64_t i = thread_index();
  if (i >= n) return;
  const int64_t x = i % width, y = i / width % height, c = i / (width * height) % channels, b = i / (width * height * channels);
  const int64_t token = (b * (height / patch) + y / patch) * (width / patch) + x / patch;
  out[i] = to_float(tokens[((token * patch + y % patch) * patch + x % patch) * channels + c]);
}

template <class T>
__device__ __forceinline__ void run(const ToNhwcKernel<T>& kernel) {
  const auto [out, latents, n, channels, pixels, scale, shift] = kernel;
  const int64_t i = thread_index();
  if (i >= n) return;
  const int64_t c = i % channels, p = i / channels % pixels, b = i / (channels * pixels);
  out[i] = from_float<T>(latents[(b * channels + c) * pixels + p] * scale + shift);
}

template <class T>
__device__ __forceinline__ void run(const FindNonFiniteKernel<T>& kernel) {
  const auto& [x, found] = kernel;
  const int64_t i = thread_index();
  if (i >= x.count * x.width) return;
  if (!isfinite(to_float(x[i / x.width][i % x.width]))) *found = 1;  // a benign race: every writer writes the same
}

}  // namespace

FUDE_ELEMENTWISE_KERNELS(FUDE_DEFINE_KERNEL)

}  // namespace fude::cuda
