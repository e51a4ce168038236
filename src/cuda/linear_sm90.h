// Linear layers on Hopper's wgmma and TMA, one or a grouped GEMM.
#pragma once

#include "cuda/kernels.h"

namespace fude::cuda {

// GEMMs of one launch, at most.
inline constexpr int kMaxLinearGroup = 4;

// Whether linear_sm90 can run this linear, and is worth it.
bool linear_sm90_supports(const Card& card, const LinearArgs& args);
// Whether its epilogue can do the head norms of a linear that it supports.
bool linear_sm90_norms_heads(const Card& card, const LinearArgs& args);
void linear_sm90(const Card& card, CUstream stream, const LinearArgs& args);

// A grouped GEMM: up to kMaxLinearGroup independent linears of one element type, each of which linear_sm90_supports, in one
// launch: small ones fill the multiprocessors that large ones leave idle. None may read or write what another one writes.
void linear_group_sm90(const Card& card, CUstream stream, const LinearArgs* args, int count);

}  // namespace fude::cuda
