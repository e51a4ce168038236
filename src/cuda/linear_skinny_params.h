// The kernels of linears of few rows: their parameters and their list.
#pragma once

#include "cuda/gemm_params.h"

namespace fude::cuda {

constexpr int kSkinnyWarps = 8;
constexpr int kSkinnyOutputs = 16;  // of a block: rows of W

// `tiles`: of 8 rows of x.
template <class T, int tiles>
struct SkinnyKernel {
  static constexpr int kThreads = 32 * kSkinnyWarps, kBlocks = 0;
  MatrixOperand<T> x, w;
  Epilogue out;
};

#define FUDE_LINEAR_SKINNY_KERNELS_OF(KERNEL, T, type) \
  KERNEL(linear_skinny_8_##type, SkinnyKernel<T, 1>)   \
  KERNEL(linear_skinny_16_##type, SkinnyKernel<T, 2>)  \
  KERNEL(linear_skinny_32_##type, SkinnyKernel<T, 4>)
#define FUDE_LINEAR_SKINNY_KERNELS(KERNEL)         \
  FUDE_LINEAR_SKINNY_KERNELS_OF(KERNEL, Half, f16) \
  FUDE_LINEAR_SKINNY_KERNELS_OF(KERNEL, BFloat16, bf16)

}  // namespace fude::cuda
