// The normal numbers of torch.randn on a GPU: cuRAND's Philox counters and Box-Muller, with torch's layout of threads.
#include <curand_kernel.h>

#include "cuda/ceil_div.h"
#include "cuda/kernel.cuh"
#include "cuda/noise_params.h"

namespace fude::cuda {

namespace {

constexpr int kUnroll = 4;  // values of one draw

__device__ __forceinline__ void run(const NoiseKernel& kernel) {
  constexpr int kThreads = NoiseKernel::kThreads;
  const auto [out, n, seed, counter] = kernel;
  const int64_t thread = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t threads = static_cast<int64_t>(gridDim.x) * kThreads;
  curandStatePhilox4_32_10_t state;
  curand_init(seed, static_cast<unsigned long long>(thread), kUnroll * counter, &state);
  for (int64_t first = thread; first < ceil_div(n, threads * kUnroll) * threads * kUnroll; first += threads * kUnroll) {
    const float4 normal = curand_normal4(&state);
    const float values[kUnroll] = {normal.x, normal.y, normal.z, normal.w};
    for (int i = 0; i < kUnroll; ++i)
      if (first + i * threads < n) out[first + i * threads] = values[i];
  }
}

}  // namespace

FUDE_NOISE_KERNELS(FUDE_DEFINE_SMALL_KERNEL)

}  // namespace fude::cuda
