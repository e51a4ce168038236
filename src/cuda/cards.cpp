// Which cards there are, and their backends.

#include "cuda/cuda.h"
#include "cuda/cuda_backend.h"

namespace fude {

using cuda::check;

std::unique_ptr<Backend> make_cuda_backend(int index) { return std::make_unique<CudaBackend>(index); }
std::unique_ptr<Backend> make_cuda_backend(const AbsentCard& card) { return std::make_unique<CudaBackend>(card); }

std::string cuda_library() {
  int runtime = 0;
  check(cudaRuntimeGetVersion(&runtime), "asking for CUDA's version");
  return "CUDA " + cuda::version_text(runtime);
}

std::string why_no_cuda() {
  int driver = 0, count = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0)
    return "no NVIDIA driver was found; install the one for your card, or use --device cpu";
  const cudaError_t result = cudaGetDeviceCount(&count);
  static_cast<void>(cudaGetLastError());  // so that the next call does not report it again
  if (result == cudaErrorInsufficientDriver)
    return "the NVIDIA driver is too old: it knows CUDA " + cuda::version_text(driver) + ", this build needs " + cuda_library() +
           "; update the driver, or use --device cpu";
  if (result == cudaErrorNoDevice || (result == cudaSuccess && count == 0))
    return "the NVIDIA driver sees no card (CUDA_VISIBLE_DEVICES may hide it); use --device cpu";
  if (result != cudaSuccess)
    return std::string("the NVIDIA driver answered ") + cudaGetErrorName(result) + " (" + cudaGetErrorString(result) + "); use --device cpu";
  return "";
}

std::vector<DeviceInfo> cuda_cards() {
  std::vector<DeviceInfo> cards;
  if (!why_no_cuda().empty()) return cards;
  int count = 0, driver = 0;
  check(cudaGetDeviceCount(&count), "counting cards");
  check(cudaDriverGetVersion(&driver), "asking for its driver");
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, i), "asking what it is");
    size_t available = 0, total = 0;
    check(cudaSetDevice(i), "starting");
    check(cudaMemGetInfo(&available, &total), "asking for its memory");
    cards.push_back({.name = i == 0 ? "cuda" : "cuda:" + std::to_string(i),
                     .description = std::string(properties.name) + ", compute capability " + std::to_string(properties.major) + "." +
                                    std::to_string(properties.minor),
                     .library = cuda_library() + ", driver for CUDA " + cuda::version_text(driver),
                     .memory = static_cast<int64_t>(total),
                     .free = static_cast<int64_t>(available),
                     .fast_dtypes = properties.major >= 8 ? "bf16, f16" : "f16"});
  }
  return cards;
}

}  // namespace fude
