// Linear layers on Hopper's own tensor-core instructions, alone or several at once.
#pragma once

#include "cuda/kernels.h"

namespace fude::cuda {

// What one launch can take.
inline constexpr int kMaxLinearGroup = 4;

// Whether linear_sm90 can do this product, and is worth it.
bool linear_sm90_takes(const Card& card, const LinearArgs& args);
// Whether it can do the head norms of a product that it takes.
bool linear_sm90_norms_heads(const Card& card, const LinearArgs& args);
void linear_sm90(const Card& card, cudaStream_t stream, const LinearArgs& args);

// Up to kMaxLinearGroup independent products of one element type, each of which linear_sm90_takes, side by side in one launch:
// small ones fill the multiprocessors that large ones leave idle. No product may read or write what another one writes.
void linear_group_sm90(const Card& card, cudaStream_t stream, const LinearArgs* args, int count);

}  // namespace fude::cuda
