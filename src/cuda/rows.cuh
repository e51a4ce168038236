// Loading and storing neighbouring elements of a row inside kernels.
#pragma once

#include "cuda/elements.cuh"
#include "cuda/rows.h"

namespace fude::cuda {

// n neighbouring elements as f32, in one vectorised access.
template <int n, class T>
__device__ void load(float (&out)[n], const T* from) {
  struct alignas(sizeof(T) * n) Vector {
    T values[n];
  };
  const Vector v = *reinterpret_cast<const Vector*>(from);
#pragma unroll
  for (int i = 0; i < n; ++i) out[i] = to_float(v.values[i]);
}

template <int n, class T>
__device__ void store(T* to, const float (&in)[n]) {
  struct alignas(sizeof(T) * n) Vector {
    T values[n];
  };
  Vector v;
#pragma unroll
  for (int i = 0; i < n; ++i) v.values[i] = from_float<T>(in[i]);
  *reinterpret_cast<Vector*>(to) = v;
}

}  // namespace fude::cuda
