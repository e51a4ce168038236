// The GEMM epilogue: bias, head norms, activation, and then a store, an addition or a gated addition.
#pragma once

#include <cstdint>

#include "cuda/elements.cuh"
#include "cuda/gemm_params.h"

namespace fude::cuda {

template <int kCount>
__device__ void activate(Activation activation, float (&v)[kCount]) {
  auto all = [&](Activation known) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) v[i] = activate(known, v[i]);
  };
  switch (activation) {
    case Activation::none: break;
    case Activation::silu: all(Activation::silu); break;
    case Activation::gelu_tanh: all(Activation::gelu_tanh); break;
    case Activation::gelu_erf: all(Activation::gelu_erf); break;
    case Activation::quick_gelu: all(Activation::quick_gelu); break;
  }
}

// kCount neighbouring elements as f32, of which `count` exist; 16 bytes at a time where `vectors` says that they are aligned.
template <int kCount, class E>
__device__ void load_elements(const E* from, int count, bool vectors, float (&v)[kCount]) {
  constexpr int kVector = 16 / sizeof(E) < kCount ? 16 / sizeof(E) : kCount;
  struct alignas(kVector * sizeof(E)) Vector {
    E e[kVector];
  };
  if (vectors) {
#pragma unroll
    for (int i = 0; i < kCount; i += kVector) {
      const Vector part = *reinterpret_cast<const Vector*>(from + i);
#pragma unroll
      for (int j = 0; j < kVector; ++j) v[i + j] = to_float(part.e[j]);
    }
  } else {
#pragma unroll
    for (int i = 0; i < kCount; ++i) v[i] = i < count ? to_float(from[i]) : 0.0f;
  }
}

template <int kCount, class E>
__device__ void store_elements(E* to, int count, bool vectors, const float (&v)[kCount]) {
  constexpr int kVector = 16 / sizeof(E) < kCount ? 16 / sizeof(E) : kCount;
  struct alignas(kVector * sizeof(E)) Vector {
    E e[kVector];
  };
  if (vectors) {
#pragma unroll
    for (int i = 0; i < kCount; i += kVector) {
      Vector part;
#pragma unroll
      for (int j = 0; j < kVector; ++j) part.e[j] = from_float<E>(v[i + j]);
      *reinterpret_cast<Vector*>(to + i) = part;
    }
  } else {
#pragma unroll
    for (int i = 0; i < kCount; ++i)
      if (i < count) to[i] = from_float<E>(v[i]);
  }
}

template <int kLanes, int kCount>
__device__ void norm_head(const Epilogue& out, int n, float (&v)[kCount]) {
  const int third = out.columns / 3;
  if (n >= 2 * third) return;
  float squares = 0, weight[kCount];
#pragma unroll
  for (int i = 0; i < kCount; ++i) squares += v[i] * v[i];
#pragma unroll
  for (int lane = 1; lane < kLanes; lane *= 2) squares += __shfl_xor_sync(0xffffffff, squares, lane);
  const float scale = rsqrtf(squares / kHeadDim + out.norm_eps);
  load_elements((n < third ? out.norm_query : out.norm_key) + n % kHeadDim, kCount, true, weight);
#pragma unroll
  for (int i = 0; i < kCount; ++i) v[i] *= scale * weight[i];
}

template <int kCount, class E>
__device__ void store_output(E* to, int count, bool vectorised, bool accumulate, float (&v)[kCount]) {
  if (accumulate) {
    float before[kCount];
    load_elements(to, count, vectorised, before);
#pragma unroll
    for (int i = 0; i < kCount; ++i) v[i] += before[i];
  }
  store_elements(to, count, vectorised, v);
}

// Takes the accumulators v of columns n … n + kCount − 1 of row m; those outside are dropped. kLanes neighbouring lanes have
// neighbouring columns of one row, and all lanes of a warp come here together if they hold whole heads.
template <class T, int kLanes, int kCount>
__device__ void apply(const Epilogue& out, int split, int m, int n, float (&v)[kCount]) {
  const int batch = m / out.batch_rows, count = out.columns - n;
  const bool vectorised = out.vectors && count >= kCount;
  float other[kCount];
  if (out.bias) {
    load_elements(out.bias + n, count, vectorised, other);
#pragma unroll
    for (int i = 0; i < kCount; ++i) v[i] += other[i];
  }
  if constexpr (kLanes * kCount == kHeadDim)
    if (out.norm_query) norm_head<kLanes>(out, n, v);
  if (m >= out.rows || n >= out.columns) return;
  activate(out.activation, v);
  if (out.gate) {
    load_elements(out.gate + batch * out.gate_stride + n, count, vectorised, other);
#pragma unroll
    for (int i = 0; i < kCount; ++i) v[i] *= other[i];
  }
  const int64_t at = split * out.split_stride + batch * out.batch_stride + (m - batch * out.batch_rows) * out.row_stride + n;
  if (out.f32) store_output(static_cast<float*>(out.data) + at, count, vectorised, out.accumulate, v);
  else store_output(static_cast<T*>(out.data) + at, count, vectorised, out.accumulate, v);
}

}  // namespace fude::cuda
