// The kernels of convolutions, besides Hopper's: parameters and list.
#pragma once

#include "cuda/gemm_params.h"

namespace fude::cuda {

// Zeros after the channels of each pixel.
template <class T>
struct PadChannelsKernel {
  static constexpr int kThreads = 256, kBlocks = 0;
  T* out;
  const T* x;
  int64_t elements;
  int channels, padded;
};

#define FUDE_CONV_KERNELS(KERNEL)                                    \
  FUDE_GEMM_KERNELS(KERNEL, conv_f16, Half, ConvOperand)             \
  FUDE_GEMM_KERNELS(KERNEL, conv_bf16, BFloat16, ConvOperand)        \
  KERNEL(conv_f32, SimtGemmKernel<float, ConvOperand<float>, false>) \
  KERNEL(pad_channels_f32, PadChannelsKernel<float>)                 \
  KERNEL(pad_channels_f16, PadChannelsKernel<Half>)                  \
  KERNEL(pad_channels_bf16, PadChannelsKernel<BFloat16>)

}  // namespace fude::cuda
