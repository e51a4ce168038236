// A linear's arguments as operands and epilogue of a GEMM.
#pragma once

#include "cuda/gemm_params.h"

namespace fude::cuda {

template <class T>
MatrixOperand<T> operand(const Matrix& m) {
  return {static_cast<const T*>(m.data),        m.batch_stride,           m.row_stride,
          static_cast<int>(m.batches * m.rows), static_cast<int>(m.rows), static_cast<int>(m.columns)};
}

template <class T>
MatrixOperand<T> weight_operand(const LinearArgs& args) {
  const int rows = static_cast<int>(args.out.columns), k = static_cast<int>(args.x.columns);
  return {static_cast<const T*>(args.weight), 0, k, rows, rows, k};
}

inline bool aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }
inline bool aligned(const Matrix& m) {
  const int64_t size = size_of(m.dtype);
  return aligned(m.data) && m.row_stride * size % 16 == 0 && (m.batches == 1 || m.batch_stride * size % 16 == 0);
}

inline Epilogue epilogue(const LinearArgs& args) {
  const Matrix& m = args.out;
  Epilogue out{};
  out.data = m.data;
  out.bias = args.bias;
  out.gate = args.gate;
  out.batch_stride = m.batch_stride;
  out.row_stride = m.row_stride;
  out.gate_stride = args.gate_stride;
  out.rows = static_cast<int>(m.batches * m.rows);
  out.batch_rows = static_cast<int>(m.rows);
  out.columns = static_cast<int>(m.columns);
  out.activation = args.activation;
  out.f32 = m.dtype == DType::f32;
  out.accumulate = args.accumulate || args.gate;
  out.norm_query = args.norms.query;
  out.norm_key = args.norms.key;
  out.norm_eps = args.norms.eps;
  out.vectors = aligned(m) && aligned(args.bias) && aligned(args.gate) && args.gate_stride % 4 == 0;
  return out;
}

}  // namespace fude::cuda
