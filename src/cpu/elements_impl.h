// Arithmetic on single elements, branch-free, so that compilers vectorise it. Internal linkage only, since it is compiled once
// per instruction set (see rows_impl.h).
#pragma once

#include <string.h>

#include <cstdint>

#include "cpu/rows.h"

namespace fude::cpu {
namespace {

struct bf16 {
  uint16_t bits;
};

inline float get(const float& v) { return v; }
inline float get(const bf16& v) {
  const uint32_t bits = static_cast<uint32_t>(v.bits) << 16;
  float f;
  memcpy(&f, &bits, 4);
  return f;
}

inline void put(float& out, float v) { out = v; }
inline void put(bf16& out, float v) {
  uint32_t bits;
  memcpy(&bits, &v, 4);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1)) >> 16;
  out.bits = static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : rounded);
}

// e^x to about 1e-7 relative (Cephes' expf), branch-free so that compilers vectorise it. Saturates outside ±87.
inline float exponential(float x) {
  x = x < -87.3f ? -87.3f : x;
  x = x > 88.0f ? 88.0f : x;
  const float k = x * 1.44269504088896341f + 12582912.0f;  // rounds to an integer in the low mantissa bits
  const float n = k - 12582912.0f;
  x = x - n * 0.693359375f;
  x = x + n * 2.12194440e-4f;
  float y = 1.9875691500e-4f;
  y = y * x + 1.3981999507e-3f;
  y = y * x + 8.3334519073e-3f;
  y = y * x + 4.1665795894e-2f;
  y = y * x + 1.6666665459e-1f;
  y = y * x + 5.0000001201e-1f;
  y = y * x * x + x + 1.0f;
  uint32_t bits;
  memcpy(&bits, &k, 4);
  bits = (bits << 23) + 0x3f800000u;  // 2^n: the integer's low bits become the exponent
  float power;
  memcpy(&power, &bits, 4);
  return y * power;
}

inline float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

// erf by Abramowitz & Stegun 7.1.26, absolute error 1.5e-7.
inline float error_function(float x) {
  const float a = x < 0 ? -x : x;
  const float t = 1.0f / (1.0f + 0.3275911f * a);
  const float y = 1.0f - ((((1.061405429f * t - 1.453152027f) * t + 1.421413741f) * t - 0.284496736f) * t + 0.254829592f) * t *
                             exponential(-a * a);
  return x < 0 ? -y : y;
}

template <Curve kCurve>
inline float apply(float x) {
  // tanh(u) = 2·sigmoid(2u) − 1, so the tanh form of GELU is x·sigmoid(2u)
  if constexpr (kCurve == Curve::silu) return x * sigmoid(x);
  if constexpr (kCurve == Curve::gelu_tanh) return x * sigmoid(1.5957691216057308f * (x + 0.044715f * x * x * x));
  if constexpr (kCurve == Curve::gelu_erf) return 0.5f * x * (1.0f + error_function(x * 0.7071067811865476f));
  if constexpr (kCurve == Curve::quick_gelu) return x * sigmoid(1.702f * x);
  return x;
}

template <class F>
inline void with_curve(Curve curve, F f) {
  switch (curve) {
    case Curve::none: f([](float v) { return v; }); return;
    case Curve::silu: f([](float v) { return apply<Curve::silu>(v); }); return;
    case Curve::gelu_tanh: f([](float v) { return apply<Curve::gelu_tanh>(v); }); return;
    case Curve::gelu_erf: f([](float v) { return apply<Curve::gelu_erf>(v); }); return;
    case Curve::quick_gelu: f([](float v) { return apply<Curve::quick_gelu>(v); }); return;
  }
}

}  // namespace
}  // namespace fude::cpu
