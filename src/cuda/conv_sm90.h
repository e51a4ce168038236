// Convolutions on Hopper's wgmma and TMA.
#pragma once

#include "cuda/kernels.h"

namespace fude::cuda {

// Whether conv_sm90 can run this convolution, and is worth it. Does not look at addresses: a dry run has none.
bool conv_sm90_supports(const Card& card, const ConvArgs& args);
void conv_sm90(const Card& card, CUstream stream, const ConvArgs& args);

}  // namespace fude::cuda
