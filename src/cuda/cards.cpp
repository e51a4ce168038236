// The GPUs that are here, and their devices.

#include "cuda/cuda.h"
#include "cuda/cuda_device.h"

namespace fude {

using cuda::check;

std::unique_ptr<Device> make_cuda_device(int index) { return std::make_unique<CudaDevice>(index); }
std::unique_ptr<Device> make_cuda_device(const AbsentCard& card) { return std::make_unique<CudaDevice>(card); }

std::string cuda_library() {
  int runtime = 0;
  check(cudaRuntimeGetVersion(&runtime), "asking for CUDA's version");
  return "CUDA " + cuda::version_text(runtime);
}

std::string why_no_cuda() {
  int driver = 0, count = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0)
    return "no NVIDIA driver was found; install the one for your card";
  const cudaError_t result = cudaGetDeviceCount(&count);
  static_cast<void>(cudaGetLastError());  // so that the next call does not report it again
  if (result == cudaErrorInsufficientDriver)
    return "the NVIDIA driver is too old: it knows CUDA " + cuda::version_text(driver) + ", this build needs " +
           cuda_library() + "; update the driver";
  if (result == cudaErrorNoDevice || (result == cudaSuccess && count == 0))
    return "the NVIDIA driver sees no card (CUDA_VISIBLE_DEVICES may hide it)";
  if (result != cudaSuccess)
    return std::string("the NVIDIA driver answered ") + cudaGetErrorName(result) + " (" + cudaGetErrorString(result) + ")";
  return "";
}

std::vector<std::string> cuda_card_names() {
  std::vector<std::string> names;
  if (!why_no_cuda().empty()) return names;
  int count = 0;
  check(cudaGetDeviceCount(&count), "counting cards");
  for (int i = 0; i < count; ++i) names.push_back(i == 0 ? "cuda" : "cuda:" + std::to_string(i));
  return names;
}

DeviceInfo cuda_card(size_t index) {
  int driver = 0;
  check(cudaDriverGetVersion(&driver), "asking for its driver");
  const int card = static_cast<int>(index);
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, card), "asking what it is");
  size_t available = 0, total = 0;
  check(cudaSetDevice(card), "starting");
  check(cudaMemGetInfo(&available, &total), "asking for its memory");
  return {.name = cuda_card_names()[index],
          .description = std::string(properties.name) + ", compute capability " + std::to_string(properties.major) + "." +
                         std::to_string(properties.minor),
          .library = cuda_library() + ", driver for CUDA " + cuda::version_text(driver),
          .memory = static_cast<int64_t>(total),
          .free = static_cast<int64_t>(available),
          .fast_dtypes = properties.major >= 8 ? "bf16, f16" : "f16"};
}

}  // namespace fude
