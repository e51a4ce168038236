// Copies to the GPU as slowly as a slower bus would: put in the place of the driver's function, for bench/gpu_memory only.
// After each large copy its stream waits until the bytes so far could have come at the rate wanted.
#include <chrono>
#include <cstdlib>
#include <utility>

#include "core/system.h"
#include "cuda/driver.h"

using namespace fude::cuda;

namespace {

using Clock = std::chrono::steady_clock;

constexpr double kRate = 12.5e9;      // bytes/s: PCIe 4.0 ×8
constexpr double kOwnRate = 52e9;     // of the bus the copy really takes
constexpr size_t kLarge = 256 << 10;  // smaller ones are activations and cost next to nothing on either bus

double rate() {
  static const double wanted = [] {
    const char* text = std::getenv("FUDE_PACE");
    return text ? std::atof(text) : kRate;
  }();
  return wanted;
}

// Called in order, by one thread of the driver.
void wait(void* bytes) {
  static Clock::time_point free{};
  const auto seconds = [&](double of) {
    return std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(static_cast<double>(reinterpret_cast<size_t>(bytes)) / of));
  };
  const Clock::time_point began = Clock::now() - seconds(kOwnRate);
  free = (began > free ? began : free) + seconds(rate());
  while (Clock::now() < free) {
  }
}

decltype(Driver::cuMemcpyHtoDAsync) copy = nullptr;
CUresult (*host_function)(CUstream, void (*)(void*), void*) = nullptr;

CUresult paced_copy(CUdeviceptr device, const void* host, size_t bytes, CUstream stream) {
  const CUresult result = copy(device, host, bytes, stream);
  return result != CUDA_SUCCESS || bytes < kLarge ? result : host_function(stream, wait, reinterpret_cast<void*>(bytes));
}

[[maybe_unused]] const bool paced = [] {
  host_function = reinterpret_cast<decltype(host_function)>(fude::library_function("libcuda.so.1", "cuLaunchHostFunc"));
  copy = std::exchange(const_cast<Driver&>(driver()).cuMemcpyHtoDAsync, paced_copy);
  return true;
}();

}  // namespace
