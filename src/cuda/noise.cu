// The normal numbers of torch.randn on a GPU: cuRAND's Philox counters and Box-Muller, with torch's layout of threads.
#include <curand_kernel.h>

#include <algorithm>

#include "cuda/ceil_div.h"
#include "cuda/elementwise.h"

namespace fude::cuda {

namespace {

constexpr int kThreads = 256;  // of torch's blocks; they decide which thread draws which value
constexpr int kUnroll = 4;     // values of one draw

__global__ void __launch_bounds__(kThreads) noise_kernel(float* out, int64_t n, uint64_t seed, uint64_t counter) {
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

void torch_cuda_noise(const Card& card, cudaStream_t stream, const Tensor& out, TorchGenerator& generator) {
  const int64_t most = static_cast<int64_t>(card.multiprocessors) * (card.resident_threads / kThreads);
  const int64_t blocks = std::min(ceil_div(out.numel(), kThreads), most);
  const uint64_t counter = generator.take_counters(out.numel(), most * kThreads);
  noise_kernel<<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(out.as<float>(), out.numel(), generator.seed(), counter);
  check(cudaGetLastError(), "drawing noise");
}

}  // namespace fude::cuda
