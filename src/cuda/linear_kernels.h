// The GEMM kernels that linear() chooses from, besides those of linear_sm90.h.
#pragma once

#include "cuda/kernels.h"

namespace fude::cuda {

// mma.sync; f16 and bf16 with x and the weight aligned to 16 bytes. Several linears are one grouped GEMM; all norm heads or
// none does.
constexpr int kMaxLinears = 4;
void linear_mma(const Card& card, CUstream stream, const LinearArgs* args, int count);

// The same with split-K, for GEMMs whose tiles alone would leave multiprocessors idle: the partial sums go through the
// workspace. Bytes of that, or 0 where it is not worth it; looks at sizes only.
int64_t linear_split_k_workspace(const Card& card, const LinearArgs& args);
void linear_split_k(const Card& card, CUstream stream, const LinearArgs& args, void* workspace);

// The same for skinny GEMMs (batched GEMV), where reading the weight is what takes the time.
constexpr int kSkinnyRows = 32;  // at most
void linear_skinny(CUstream stream, const LinearArgs& args);

}  // namespace fude::cuda
