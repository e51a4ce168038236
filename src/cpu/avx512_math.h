// Arithmetic on sixteen floats at a time, for the AMX kernels: every processor with AMX has AVX-512 with bf16. The same maths
// as loops over single elements costs more than twice as many instructions. Internal linkage only, like elements_impl.h.
#pragma once

#include <immintrin.h>
#include <string.h>

#include <cstdint>

#include "cpu/rows.h"

namespace fude::cpu {
namespace {

using Vector = __m512;

inline Vector all(float v) { return _mm512_set1_ps(v); }

// While it lives, subnormal floats are flushed to zero: each subnormal result would cost hundreds of cycles.
class NoSubnormals {
 public:
  NoSubnormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | kFlushToZero | kInputsAreZero); }
  ~NoSubnormals() { _mm_setcsr(before_); }
  NoSubnormals(const NoSubnormals&) = delete;
  NoSubnormals& operator=(const NoSubnormals&) = delete;

 private:
  static constexpr unsigned kFlushToZero = 0x8000, kInputsAreZero = 0x40;
  const unsigned before_;
};

// 2^x, relative error 3e-6, enough since the results are rounded to bf16. 0 and infinity beyond the range of f32.
inline Vector exp2(Vector x) {
  const Vector shift = all(12582912);
  const Vector whole = _mm512_sub_ps(_mm512_add_ps(x, shift), shift);
  const Vector part = _mm512_sub_ps(x, whole);
  Vector y = all(9.5701013e-3f);  // least relative error on [−½, ½]
  y = _mm512_fmadd_ps(y, part, all(5.5917863e-2f));
  y = _mm512_fmadd_ps(y, part, all(2.4024744e-1f));
  y = _mm512_fmadd_ps(y, part, all(6.9312179e-1f));
  y = _mm512_fmadd_ps(y, part, all(9.9999928e-1f));
  return _mm512_scalef_ps(y, whole);
}

// 1/x, relative error 1e-7, of finite x.
inline Vector reciprocal(Vector x) {
  const Vector y = _mm512_rcp14_ps(x);
  return _mm512_mul_ps(y, _mm512_fnmadd_ps(x, y, all(2)));
}

// 1/(1 + 2^x). The reciprocal of more than 2^126 would be subnormal.
inline Vector logistic2(Vector x) { return reciprocal(_mm512_add_ps(all(1), exp2(_mm512_min_ps(x, all(126))))); }

constexpr float kLog2e = 1.44269504088896341f;

// erf by Abramowitz & Stegun 7.1.26, absolute error 2e-6 with this exponential.
inline Vector error_function(Vector x) {
  const Vector a = _mm512_abs_ps(x);
  const Vector t = reciprocal(_mm512_fmadd_ps(a, all(0.3275911f), all(1)));
  Vector y = all(1.061405429f);
  y = _mm512_fmadd_ps(y, t, all(-1.453152027f));
  y = _mm512_fmadd_ps(y, t, all(1.421413741f));
  y = _mm512_fmadd_ps(y, t, all(-0.284496736f));
  y = _mm512_fmadd_ps(y, t, all(0.254829592f));
  const Vector power = exp2(_mm512_mul_ps(_mm512_mul_ps(a, a), all(-kLog2e)));
  y = _mm512_fnmadd_ps(_mm512_mul_ps(y, t), power, all(1));
  return _mm512_mask_sub_ps(y, _mm512_cmp_ps_mask(x, all(0), _CMP_LT_OQ), all(0), y);
}

// The curves of elements_impl.h.
template <Curve kCurve>
inline Vector apply(Vector x) {
  if constexpr (kCurve == Curve::silu) return _mm512_mul_ps(x, logistic2(_mm512_mul_ps(x, all(-kLog2e))));
  if constexpr (kCurve == Curve::gelu_tanh) {
    const Vector factor = _mm512_fmadd_ps(_mm512_mul_ps(x, x), all(-1.5957691216057308f * 0.044715f * kLog2e),
                                          all(-1.5957691216057308f * kLog2e));
    return _mm512_mul_ps(x, logistic2(_mm512_mul_ps(x, factor)));
  }
  if constexpr (kCurve == Curve::gelu_erf)
    return _mm512_mul_ps(_mm512_mul_ps(x, all(0.5f)),
                         _mm512_add_ps(all(1), error_function(_mm512_mul_ps(x, all(0.7071067811865476f)))));
  if constexpr (kCurve == Curve::quick_gelu) return _mm512_mul_ps(x, logistic2(_mm512_mul_ps(x, all(-1.702f * kLog2e))));
  return x;
}

// 32 elements. Elements outside the mask load as zero, and are not stored.
struct Pair {
  Vector low, high;
};

inline Pair load(const float* from, __mmask32 mask) {
  return {_mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), from),
          _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask >> 16), from + 16)};
}
inline Pair load(const uint16_t* from, __mmask32 mask) {
  const __m512i bits = _mm512_maskz_loadu_epi16(mask, from);
  const auto widened = [](__m256i half) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16)); };
  return {widened(_mm512_castsi512_si256(bits)), widened(_mm512_extracti64x4_epi64(bits, 1))};
}
inline void store(float* to, Pair v, __mmask32 mask) {
  _mm512_mask_storeu_ps(to, static_cast<__mmask16>(mask), v.low);
  _mm512_mask_storeu_ps(to + 16, static_cast<__mmask16>(mask >> 16), v.high);
}
inline void store(uint16_t* to, Pair v, __mmask32 mask) {
  const __m512bh rounded = _mm512_cvtne2ps_pbh(v.high, v.low);
  __m512i bits;
  memcpy(&bits, &rounded, sizeof bits);
  _mm512_mask_storeu_epi16(to, mask, bits);
}

}  // namespace
}  // namespace fude::cpu
