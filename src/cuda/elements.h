// The element types of kernels. To the host they are only what tensors are made of; arithmetic is in elements.cuh.
#pragma once

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#else
#include <cstdint>
#endif

#include "core/dtype.h"

namespace fude::cuda {

#ifdef __CUDACC__
using Half = __half;
using BFloat16 = __nv_bfloat16;
#else
struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};
#endif

// Calls f with a value of the element type of t: with_type(t, [&](auto zero) { using T = decltype(zero); … }).
template <class F>
void with_type(DType t, F&& f) {
  if (t == DType::f32) f(float{});
  else if (t == DType::f16) f(Half{});
  else f(BFloat16{});
}
// The same where only the narrow types are possible.
template <class F>
void with_narrow_type(DType t, F&& f) {
  if (t == DType::f16) f(Half{});
  else f(BFloat16{});
}

}  // namespace fude::cuda
