// The kernels of GroupNorm: their parameters and their list.
#pragma once

#include <cstdint>

#include "core/activation.h"
#include "cuda/elements.h"

namespace fude::cuda {

constexpr int kGroupThreads = 256;
constexpr int kPixelsOfThread = 16;  // of ScaleShiftKernel

// `vector`: channels that a thread takes at once.
template <class T, int vector>
struct GroupSumsKernel {
  static constexpr int kThreads = kGroupThreads, kBlocks = 0;
  float* sums;
  const T* x;
  int64_t pixels;
  int channels;
  int64_t pieces;
};

struct GroupFactorsKernel {
  static constexpr int kThreads = kGroupThreads, kBlocks = 0;
  float* factors;
  const float *sums, *weight, *bias;
  int64_t pixels;
  int channels;
  int64_t pieces;
  int groups;
  float eps;
};

template <class T, int vector>
struct ScaleShiftKernel {
  static constexpr int kThreads = kGroupThreads, kBlocks = 0;
  T* out;
  const T* x;
  const float* factors;
  int64_t pixels;
  int channels;
  Activation activation;
};

#define FUDE_GROUP_NORM_KERNELS_OF(KERNEL, T, type, vector)          \
  KERNEL(group_sums_##type##_##vector, GroupSumsKernel<T, vector>)   \
  KERNEL(group_sums_##type##_1, GroupSumsKernel<T, 1>)               \
  KERNEL(scale_shift_##type##_##vector, ScaleShiftKernel<T, vector>) \
  KERNEL(scale_shift_##type##_1, ScaleShiftKernel<T, 1>)
#define FUDE_GROUP_NORM_KERNELS(KERNEL)             \
  KERNEL(group_factors, GroupFactorsKernel)         \
  FUDE_GROUP_NORM_KERNELS_OF(KERNEL, float, f32, 4) \
  FUDE_GROUP_NORM_KERNELS_OF(KERNEL, Half, f16, 8)  \
  FUDE_GROUP_NORM_KERNELS_OF(KERNEL, BFloat16, bf16, 8)

}  // namespace fude::cuda
