// The ways to multiply by a linear's weight that linear() chooses from.
#pragma once

#include "cuda/kernels.h"

namespace fude::cuda {

// Tensor cores; f16 and bf16 with x and the weight in 16-byte pieces. Several products go side by side; all norm heads or none
// do.
constexpr int kMaxLinears = 4;
void linear_mma(const Card& card, cudaStream_t stream, const LinearArgs* args, int count);

// The same for products so small that their tiles leave multiprocessors idle: the sums over k are cut into parts, which go
// through the workspace. Bytes of that, or 0 where it is not worth it; looks at sizes only.
int64_t linear_parts_workspace(const Card& card, const LinearArgs& args);
void linear_parts(const Card& card, cudaStream_t stream, const LinearArgs& args, void* workspace);

// The same for few rows, where reading the weight is what takes the time.
constexpr int kFewRows = 32;
void linear_few(cudaStream_t stream, const LinearArgs& args);

}  // namespace fude::cuda
