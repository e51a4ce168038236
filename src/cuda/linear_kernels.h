// The ways to multiply by a linear's weight that linear() chooses from.
#pragma once

#include "cuda/kernels.h"

namespace fude::cuda {

// Tensor cores; f16 and bf16 with x and the weight in 16-byte pieces.
void linear_mma(const Card& card, cudaStream_t stream, const LinearArgs& args);

// The same for few rows, where reading the weight is what takes the time.
constexpr int kFewRows = 32;
void linear_few(cudaStream_t stream, const LinearArgs& args);

}  // namespace fude::cuda
