// The bodies of rows.h. Included by one file per instruction set, each compiled with its own flags; so everything here has internal
// linkage and nothing inline from another header is used: a function compiled for AVX-512 must not be the copy others are linked to.

#include <math.h>
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
  const float y =
      1.0f - ((((1.061405429f * t - 1.453152027f) * t + 1.421413741f) * t - 0.284496736f) * t + 0.254829592f) * t * exponential(-a * a);
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

// Calls f with the row's typed pointer.
template <class F>
inline void typed(Span s, F f) {
  if (s.bf16) f(static_cast<bf16*>(s.data));
  else f(static_cast<float*>(s.data));
}

template <class F>
inline void typed(Span a, Span b, F f) {
  typed(a, [&](auto* x) { typed(b, [&](auto* y) { f(x, y); }); });
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

void layer_norm(Span out, Span in, int64_t n, const float* weight, const float* bias, const float* scale, const float* shift,
                float eps) {
  typed(out, in, [&](auto* y, const auto* x) {
    float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; ++i) sum += get(x[i]);
    const float mean = sum / static_cast<float>(n);
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < n; ++i) {
      const float difference = get(x[i]) - mean;
      squares += difference * difference;
    }
    const float inverse = 1.0f / sqrtf(squares / static_cast<float>(n) + eps);
    if (scale) {
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) put(y[i], (get(x[i]) - mean) * inverse * (1.0f + scale[i]) + shift[i]);
    } else if (weight) {
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) put(y[i], (get(x[i]) - mean) * inverse * weight[i] + bias[i]);
    } else {
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) put(y[i], (get(x[i]) - mean) * inverse);
    }
  });
}

void rms_norm(Span out, Span in, int64_t n, const float* weight, float eps) {
  typed(out, in, [&](auto* y, const auto* x) {
    float squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < n; ++i) squares += get(x[i]) * get(x[i]);
    const float inverse = 1.0f / sqrtf(squares / static_cast<float>(n) + eps);
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) put(y[i], get(x[i]) * inverse * weight[i]);
  });
}

void activate(Span out, Span in, int64_t n, Curve curve) {
  typed(out, in, [&](auto* y, const auto* x) {
    with_curve(curve, [&](auto f) {
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) put(y[i], f(get(x[i])));
    });
  });
}

void add(Span a, Span b, int64_t n) {
  typed(a, b, [&](auto* x, const auto* y) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) put(x[i], get(x[i]) + get(y[i]));
  });
}

void multiply(Span a, Span b, int64_t n) {
  typed(a, b, [&](auto* x, const auto* y) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) put(x[i], get(x[i]) * get(y[i]));
  });
}

void add_gated(Span a, const float* gate, Span b, int64_t n) {
  typed(a, b, [&](auto* x, const auto* y) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) put(x[i], get(x[i]) + gate[i] * get(y[i]));
  });
}

void modulate(Span out, Span in, int64_t n, const float* scale, const float* shift) {
  typed(out, in, [&](auto* y, const auto* x) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) put(y[i], get(x[i]) * (1.0f + scale[i]) + shift[i]);
  });
}

void convert(Span out, Span in, int64_t n) {
  typed(out, in, [&](auto* y, const auto* x) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) put(y[i], get(x[i]));
  });
}

void affine(Span out, Span in, int64_t n, const float* factor, const float* offset, Curve curve) {
  typed(out, in, [&](auto* y, const auto* x) {
    with_curve(curve, [&](auto f) {
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) put(y[i], f(get(x[i]) * factor[i] + offset[i]));
    });
  });
}

void accumulate(Span in, int64_t n, float* sum, float* squares) {
  typed(in, [&](const auto* x) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      const float v = get(x[i]);
      sum[i] += v;
      squares[i] += v * v;
    }
  });
}

void softmax(Span out, const float* scores, int64_t n, float scale, const float* bias) {
  float largest = -3.0e38f;
  if (bias) {
#pragma omp simd reduction(max : largest)
    for (int64_t i = 0; i < n; ++i) {
      const float v = scores[i] * scale + bias[i];
      largest = v > largest ? v : largest;
    }
  } else {
#pragma omp simd reduction(max : largest)
    for (int64_t i = 0; i < n; ++i) {
      const float v = scores[i] * scale;
      largest = v > largest ? v : largest;
    }
  }
  typed(out, [&](auto* y) {
    float total = 0;
    if (bias) {
#pragma omp simd reduction(+ : total)
      for (int64_t i = 0; i < n; ++i) {
        const float e = exponential(scores[i] * scale + bias[i] - largest);
        total += e;
        put(y[i], e);
      }
    } else {
#pragma omp simd reduction(+ : total)
      for (int64_t i = 0; i < n; ++i) {
        const float e = exponential(scores[i] * scale - largest);
        total += e;
        put(y[i], e);
      }
    }
    const float inverse = 1.0f / total;
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) put(y[i], get(y[i]) * inverse);
  });
}

bool finite(Span in, int64_t n) {
  uint32_t bad = 0;
  typed(in, [&](const auto* x) {
#pragma omp simd reduction(| : bad)
    for (int64_t i = 0; i < n; ++i) {
      const float v = get(x[i]);
      uint32_t bits;
      memcpy(&bits, &v, 4);
      bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
  });
  return bad == 0;
}

}  // namespace
}  // namespace fude::cpu

#define FUDE_ROW_KERNELS(variable, label)                                                                                       \
  namespace fude::cpu {                                                                                                         \
  const RowKernels variable = {label,    layer_norm, rms_norm, activate, add,        multiply, add_gated,                         \
                               modulate, convert,    affine,   accumulate, softmax, finite};                                    \
  }
