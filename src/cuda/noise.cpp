// The launch of the kernel that draws noise: as many threads as torch starts on this card.
#include <algorithm>

#include "cuda/ceil_div.h"
#include "cuda/elementwise.h"
#include "cuda/launch.h"
#include "cuda/noise_params.h"

namespace fude::cuda {

FUDE_KERNELS(noise, FUDE_NOISE_KERNELS)

void torch_cuda_noise(const Card& card, CUstream stream, const Tensor& out, TorchGenerator& generator) {
  constexpr int kThreads = NoiseKernel::kThreads;
  const int64_t most = static_cast<int64_t>(card.multiprocessors) * (card.resident_threads / kThreads);
  const int64_t blocks = std::min(ceil_div(out.numel(), kThreads), most);
  const uint64_t counter = generator.take_counters(out.numel(), most * kThreads);
  launch(stream, {blocks}, NoiseKernel{out.as<float>(), out.numel(), generator.seed(), counter}, "drawing noise");
}

}  // namespace fude::cuda
