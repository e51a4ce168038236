// Convolutions as implicit GEMM, and the padding of channels before them; what they compute is described in conv.cpp.
#include "cuda/conv_params.h"
#include "cuda/gemm.cuh"
#include "cuda/gemm_simt.cuh"
#include "cuda/kernel.cuh"

namespace fude::cuda {

namespace {

template <class T>
__device__ __forceinline__ void run(const PadChannelsKernel<T>& kernel) {
  const auto [out, x, elements, channels, padded] = kernel;
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= elements) return;
  const int64_t pixel = i / padded;
  const int channel = static_cast<int>(i - pixel * padded);
  out[i] = channel < channels ? x[pixel * channels + channel] : from_float<T>(0.0f);
}

}  // namespace

FUDE_CONV_KERNELS(FUDE_DEFINE_KERNEL)

}  // namespace fude::cuda
