// The GPUs that are here, and their devices.

#include "cuda/cuda.h"
#include "cuda/cuda_device.h"
#include "cuda/machine_code.h"

namespace fude {

using cuda::check;
using cuda::driver;

namespace {

// "576.28 (CUDA 12.9)"
std::string found_driver() {
  const std::string number = cuda::driver_number();
  const std::string version = "CUDA " + cuda::version_text(driver().cuda);
  return number.empty() ? "for " + version : number + " (" + version + ")";
}

// A driver that stands in for NVIDIA's needs no code.
bool has_code() { return *cuda::kMadeByCuda || cuda::driver_is_replaced(); }

std::string card_name(int index) { return index == 0 ? "cuda" : "cuda:" + std::to_string(index); }

std::string needed() { return std::to_string(cuda::kNeededDriver.number) + " or newer"; }

}  // namespace

std::unique_ptr<Device> make_cuda_device(int index) { return std::make_unique<CudaDevice>(index); }
std::unique_ptr<Device> make_cuda_device(const AbsentCard& card) { return std::make_unique<CudaDevice>(card); }

std::string cuda_library() { return *cuda::kMadeByCuda ? std::string("CUDA ") + cuda::kMadeByCuda : ""; }

std::string cuda_driver() {
  if (!has_code()) return "";
  return (driver().cuda == 0 ? "not found" : found_driver()) + ", needed: " + needed();
}

std::string why_no_cuda() {
  if (!has_code()) return "this build has no code for NVIDIA cards; build with `cmake --preset cuda` to draw on one";
  const cuda::Driver& d = driver();
  if (d.cuda == 0) return "no NVIDIA driver was found; install " + needed() + " for your card";
  if (d.cuda < cuda::kNeededDriver.cuda || !d.lacking.empty())
    return "the NVIDIA driver is too old: it is " + found_driver() + (d.lacking.empty() ? "" : " and lacks " + d.lacking) +
           "; install " + needed();
  int count = 0;
  cuda::CUresult result = d.cuInit(0);
  if (result == cuda::CUDA_SUCCESS) result = d.cuDeviceGetCount(&count);
  if (result == cuda::CUDA_ERROR_NO_DEVICE || (result == cuda::CUDA_SUCCESS && count == 0))
    return "the NVIDIA driver sees no card (CUDA_VISIBLE_DEVICES may hide it)";
  if (result != cuda::CUDA_SUCCESS) return "the NVIDIA driver answered " + cuda::text_of(result);
  return "";
}

std::vector<std::string> cuda_card_names() {
  std::vector<std::string> names;
  if (!why_no_cuda().empty()) return names;
  int count = 0;
  check(driver().cuDeviceGetCount(&count), "counting cards");
  for (int i = 0; i < count; ++i) names.push_back(card_name(i));
  return names;
}

DeviceInfo cuda_card(size_t index) {
  const char* const doing = "asking what it is";
  const int card = static_cast<int>(index);
  cuda::CUdevice device = 0;
  char name[256] = "";
  int major = 0, minor = 0;
  size_t available = 0, total = 0;
  check(driver().cuDeviceGet(&device, card), doing);
  check(driver().cuDeviceGetName(name, sizeof name, device), doing);
  check(driver().cuDeviceGetAttribute(&major, cuda::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device), doing);
  check(driver().cuDeviceGetAttribute(&minor, cuda::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device), doing);
  cuda::use_card(card, "starting");
  check(driver().cuMemGetInfo(&available, &total), "asking for its memory");
  return {.name = card_name(card),
          .description = std::string(name) + ", compute capability " + std::to_string(major) + "." + std::to_string(minor),
          .library = cuda_library() + ", driver for CUDA " + cuda::version_text(driver().cuda),
          .memory = static_cast<int64_t>(total),
          .free = static_cast<int64_t>(available),
          .fast_dtypes = major >= 8 ? "bf16, f16" : "f16"};
}

}  // namespace fude
