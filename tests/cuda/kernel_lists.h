// All .cu files with the lists of their kernels, and what each kernel receives.
#pragma once

#include <cstddef>
#include <vector>

#include "cuda/attention_params.h"
#include "cuda/conv_params.h"
#include "cuda/conv_sm90_params.h"
#include "cuda/elementwise_params.h"
#include "cuda/gemm_params.h"
#include "cuda/group_norm_params.h"
#include "cuda/linear_skinny_params.h"
#include "cuda/linear_sm90_params.h"
#include "cuda/noise_params.h"
#include "cuda/norm_params.h"

namespace fude::test {

struct Parameter {
  size_t offset, bytes;  // among all
  bool operator==(const Parameter&) const = default;
};

template <class Kernel>
std::vector<Parameter> parameters() {
  if constexpr (requires(Kernel kernel) { kernel.affine; })
    return {{0, sizeof(Kernel::rows)}, {offsetof(Kernel, affine), sizeof(Kernel::affine)}};
  else return {{0, sizeof(Kernel)}};
}

}  // namespace fude::test

#define FUDE_KERNEL_FILES(FILE)                     \
  FILE(attention, FUDE_ATTENTION_KERNELS)           \
  FILE(attention_mma, FUDE_ATTENTION_MMA_KERNELS)   \
  FILE(attention_sm90, FUDE_ATTENTION_SM90_KERNELS) \
  FILE(attention_wide, FUDE_ATTENTION_WIDE_KERNELS) \
  FILE(conv, FUDE_CONV_KERNELS)                     \
  FILE(conv_sm90, FUDE_CONV_SM90_KERNELS)           \
  FILE(elementwise, FUDE_ELEMENTWISE_KERNELS)       \
  FILE(group_norm, FUDE_GROUP_NORM_KERNELS)         \
  FILE(linear, FUDE_LINEAR_KERNELS)                 \
  FILE(linear_mma, FUDE_LINEAR_MMA_KERNELS)         \
  FILE(linear_skinny, FUDE_LINEAR_SKINNY_KERNELS)   \
  FILE(linear_sm90, FUDE_LINEAR_SM90_KERNELS)       \
  FILE(noise, FUDE_NOISE_KERNELS)                   \
  FILE(norm, FUDE_NORM_KERNELS)
