// Copies to the GPU as slowly as a slower bus would: linked around cudaMemcpyAsync (-Wl,--wrap), for bench/gpu_memory
// only. After each large copy its stream waits until the bytes so far could have come at the rate wanted.
#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdlib>

extern "C" cudaError_t __real_cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                                              cudaStream_t stream);

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

}  // namespace

extern "C" cudaError_t __wrap_cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                                              cudaStream_t stream) {
  const cudaError_t result = __real_cudaMemcpyAsync(to, from, bytes, kind, stream);
  if (result != cudaSuccess || kind != cudaMemcpyHostToDevice || bytes < kLarge) return result;
  return cudaLaunchHostFunc(stream, wait, reinterpret_cast<void*>(bytes));
}
