// The kernels of LayerNorm and RMSNorm: their parameters and their list.
#pragma once

#include "cuda/rows.h"

namespace fude::cuda {

constexpr int kNormThreads = 256;

struct Affine {
  const float *weight, *bias;      // [width] or none
  const float *scale, *shift;      // [batches, width] or none
  int64_t stride, rows_per_batch;  // of scale and shift
  float eps;
  bool centred;  // LayerNorm; otherwise RMSNorm
};

template <class Out, class In>
struct NormRows {
  Rows<Out> out;
  Rows<In> x;
};

// `group` threads to a row, `vectors` vectors of 8 elements to a thread.
template <class Out, class In, int group, int vectors>
struct NormKernel {
  static constexpr int kThreads = kNormThreads, kBlocks = 0;
  NormRows<Out, In> rows;
  Affine affine;
};

// Any width and alignment: a warp to a row, which is read three times.
template <class Out, class In>
struct AnyNormKernel {
  static constexpr int kThreads = kNormThreads, kBlocks = 0;
  NormRows<Out, In> rows;
  Affine affine;
};

#define FUDE_NORM_KERNELS_OF(KERNEL, name, Out, In)         \
  KERNEL(name##_64, NormKernel<Out, In, 8, 1>)              \
  KERNEL(name##_512, NormKernel<Out, In, 32, 2>)            \
  KERNEL(name##_1536, NormKernel<Out, In, 32, 6>)           \
  KERNEL(name##_2560, NormKernel<Out, In, 32, 10>)          \
  KERNEL(name##_4096, NormKernel<Out, In, kNormThreads, 2>) \
  KERNEL(name##_any, AnyNormKernel<Out, In>)
#define FUDE_NORM_KERNELS(KERNEL)                              \
  FUDE_NORM_KERNELS_OF(KERNEL, norm_f32, float, float)         \
  FUDE_NORM_KERNELS_OF(KERNEL, norm_f16, Half, Half)           \
  FUDE_NORM_KERNELS_OF(KERNEL, norm_bf16, BFloat16, BFloat16)  \
  FUDE_NORM_KERNELS_OF(KERNEL, norm_f32_f16, float, Half)      \
  FUDE_NORM_KERNELS_OF(KERNEL, norm_f32_bf16, float, BFloat16) \
  FUDE_NORM_KERNELS_OF(KERNEL, norm_f16_f32, Half, float)      \
  FUDE_NORM_KERNELS_OF(KERNEL, norm_bf16_f32, BFloat16, float)

}  // namespace fude::cuda
