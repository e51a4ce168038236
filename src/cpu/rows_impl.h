// The bodies of the row kernels, included by one file per instruction set. Everything here has internal linkage and uses
// nothing inline from other headers: the linker may keep any copy of an inline function, and the AVX-512 copy crashes
// elsewhere.

#include <math.h>

#include <cstdint>

#include "cpu/elements_impl.h"
#include "cpu/rows.h"

namespace fude::cpu {
namespace {

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

#define FUDE_ROW_KERNELS(variable, label)                                                                \
  namespace fude::cpu {                                                                                  \
  const RowKernels variable = {label,    layer_norm, rms_norm, activate,   add,     multiply, add_gated, \
                               modulate, convert,    affine,   accumulate, softmax, finite};             \
  }
