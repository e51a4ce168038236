// Row kernels: loops over single rows, compiled once per instruction set and chosen at run time.
//
// Rows are contiguous, of f32 or bf16; all arithmetic is f32. Vectors (weight, bias, shift, scale, gate) are f32.
#pragma once

#include <cstdint>

namespace fude::cpu {

struct Span {
  void* data;
  bool bf16;  // else f32
};

enum class Curve : uint8_t { none, silu, gelu_tanh, gelu_erf, quick_gelu };  // the same values as Activation in core/

struct RowKernels {
  const char* name;
  // (x − mean)/√(variance + eps), then ·weight + bias, or ·(1 + scale) + shift; each pointer may be null.
  void (*layer_norm)(Span out, Span x, int64_t n, const float* weight, const float* bias, const float* scale,
                     const float* shift, float eps);
  void (*rms_norm)(Span out, Span x, int64_t n, const float* weight, float eps);
  void (*activate)(Span out, Span x, int64_t n, Curve curve);
  void (*add)(Span x, Span y, int64_t n);
  void (*multiply)(Span x, Span y, int64_t n);
  void (*add_gated)(Span x, const float* gate, Span y, int64_t n);
  void (*modulate)(Span out, Span x, int64_t n, const float* scale, const float* shift);
  void (*convert)(Span out, Span x, int64_t n);
  // curve(x·factor + offset)
  void (*affine)(Span out, Span x, int64_t n, const float* factor, const float* offset, Curve curve);
  // sum += x, squares += x², column by column.
  void (*accumulate)(Span x, int64_t n, float* sum, float* squares);
  // Softmax of scores·scale + bias (may be null).
  void (*softmax)(Span out, const float* scores, int64_t n, float scale, const float* bias);
  bool (*finite)(Span x, int64_t n);
};

// The fastest that this processor supports.
const RowKernels& row_kernels();

extern const RowKernels kBaselineRows, kAvx2Rows, kAvx512Rows;

}  // namespace fude::cpu
