// Tensors as kernels receive them: rows of contiguous columns, up to three strided dimensions above them.
#pragma once

#include <cstdint>

#include "core/tensor.h"
#include "cuda/elements.h"

namespace fude::cuda {

template <class T>
struct Rows {
  T* data;
  int64_t count, width;
  int64_t inner, middle;                              // rows of the last but one dimension, and of the one before it
  int64_t inner_stride, middle_stride, outer_stride;  // in elements

  constexpr T* operator[](int64_t row) const {
    const int64_t i = row % inner, rest = row / inner;
    return data + i * inner_stride + rest % middle * middle_stride + rest / middle * outer_stride;
  }
};

template <class T>
Rows<T> rows_of(const Tensor& t) {
  Rows<T> rows{static_cast<T*>(t.data), 1, t.dim(-1), 1, 1, 0, 0, 0};
  const auto size = [&](int i) { return t.rank >= i ? t.dim(-i) : 1; };
  const auto stride = [&](int i) { return t.rank >= i ? t.stride[static_cast<size_t>(t.rank - i)] : 0; };
  rows.inner = size(2);
  rows.middle = size(3);
  rows.inner_stride = stride(2);
  rows.middle_stride = stride(3);
  rows.outer_stride = stride(4);
  rows.count = size(2) * size(3) * size(4);
  return rows;
}

// Whether every row of a tensor begins at a multiple of `bytes`.
inline bool rows_aligned(const Tensor& t, int64_t bytes) {
  bool aligned = reinterpret_cast<uintptr_t>(t.data) % static_cast<uintptr_t>(bytes) == 0;
  for (int i = 0; i + 1 < t.rank; ++i) aligned = aligned && t.stride[static_cast<size_t>(i)] * size_of(t.dtype) % bytes == 0;
  return aligned;
}

}  // namespace fude::cuda
