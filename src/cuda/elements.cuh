// Elements inside kernels: conversion to and from f32, fast exponentials, and the activations.
#pragma once

#include <cstdint>
#include <type_traits>

#include "core/activation.h"
#include "cuda/elements.h"

namespace fude::cuda {

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(__half x) { return __half2float(x); }
__device__ inline float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

template <class T>
__device__ inline T from_float(float x);
template <>
__device__ inline float from_float<float>(float x) {
  return x;
}
template <>
__device__ inline __half from_float<__half>(float x) {
  return __float2half_rn(x);
}
template <>
__device__ inline __nv_bfloat16 from_float<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}

// Two neighbouring elements, the first in the low half.
template <class T>
__device__ inline uint32_t pack(float x, float y) {
  if constexpr (std::is_same_v<T, __half>) {
    const __half2 pair = __floats2half2_rn(x, y);
    return reinterpret_cast<const uint32_t&>(pair);
  } else {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(x, y);
    return reinterpret_cast<const uint32_t&>(pair);
  }
}

// 2ˣ; NaN for NaN and 0 for −∞.
__device__ inline float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;\n" : "=f"(y) : "f"(x));
  return y;
}

// x·sigmoid(y). The fast division is right to two roundings, and all that memory-bound kernels have time for.
__device__ inline float times_sigmoid(float x, float y) { return __fdividef(x, 1.0f + __expf(-y)); }

__device__ inline float activate(Activation activation, float x) {
  switch (activation) {
    case Activation::none: return x;
    case Activation::silu: return times_sigmoid(x, x);
    // tanh(u) = 1 − 2/(1 + e²ᵘ), so the curve is x·sigmoid(2u): one exponential, and no overflow turns into NaN.
    case Activation::gelu_tanh: return times_sigmoid(x, 1.5957691216057308f * (x + 0.044715f * x * x * x));
    case Activation::gelu_erf: return 0.5f * x * (1.0f + erff(x * 0.7071067811865476f));
    case Activation::quick_gelu: return times_sigmoid(x, 1.702f * x);
  }
  return x;
}

}  // namespace fude::cuda
