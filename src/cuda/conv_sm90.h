// Convolutions on Hopper's own tensor-core instructions.
#pragma once

#include "cuda/kernels.h"

namespace fude::cuda {

// Whether conv_sm90 can do this convolution, and is worth it. Does not look at addresses: a plan is made without any.
bool conv_sm90_takes(const Card& card, const ConvArgs& args);
void conv_sm90(const Card& card, cudaStream_t stream, const ConvArgs& args);

}  // namespace fude::cuda
