// The kernel that draws noise: its parameters and its list.
#pragma once

#include <cstdint>

namespace fude::cuda {

struct NoiseKernel {
  static constexpr int kThreads = 256, kBlocks = 0;  // of torch's blocks; they decide which thread draws which value
  float* out;
  int64_t n;
  uint64_t seed, counter;
};

#define FUDE_NOISE_KERNELS(KERNEL) KERNEL(noise, NoiseKernel)

}  // namespace fude::cuda
