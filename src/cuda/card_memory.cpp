// CUDA reports how much of a GPU's memory is free only once a context exists. NVML, which comes with the driver, reports it
// before.

#include "cuda/card_memory.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "core/system.h"
#include "cuda/driver.h"
#include "fude/devices.h"

namespace fude::cuda {

namespace {

// Lazily loaded kernels and CUDA graphs: 8 to 18 MiB were measured in requests on an H100.
constexpr int64_t kLazyBytes = int64_t{24} << 20;
// Where NVML is missing: what a context takes on common GPUs, unless less is used altogether.
constexpr int64_t kTypicalContext = int64_t{640} << 20;

struct NvmlMemory {
  unsigned long long total, free, used;
};

// Bytes of a GPU in use by all processes; -1: not known.
int64_t used_of_card(int index) {
#ifdef _WIN32
  constexpr const char* kNvml = "nvml.dll";
#else
  constexpr const char* kNvml = "libnvidia-ml.so.1";
#endif
  using Init = int (*)();
  using HandleByBus = int (*)(const char*, void**);
  using Memory = int (*)(void*, NvmlMemory*);
  static const auto init = reinterpret_cast<Init>(library_function(kNvml, "nvmlInit_v2"));
  static const auto handle_by_bus = reinterpret_cast<HandleByBus>(library_function(kNvml, "nvmlDeviceGetHandleByPciBusId_v2"));
  static const auto memory_of = reinterpret_cast<Memory>(library_function(kNvml, "nvmlDeviceGetMemoryInfo"));
  if (!init || !handle_by_bus || !memory_of) return -1;
  static const bool started = init() == 0;
  const Driver& d = driver();
  CUdevice device = 0;
  char bus[32];
  void* handle = nullptr;
  NvmlMemory memory{};
  if (!started || !why_no_cuda().empty() || d.cuDeviceGet(&device, index) != CUDA_SUCCESS ||
      d.cuDeviceGetPCIBusId(bus, sizeof bus, device) != CUDA_SUCCESS || handle_by_bus(bus, &handle) != 0 ||
      memory_of(handle, &memory) != 0)
    return -1;
  return static_cast<int64_t>(memory.used);
}

}  // namespace

OutsideMemory::OutsideMemory(int index) : index_(index), before_(used_of_card(index)) {}

int64_t OutsideMemory::measure() {
  static std::mutex mutex;
  static std::map<int, int64_t> known;
  const std::lock_guard lock(mutex);
  if (const auto found = known.find(index_); found != known.end()) return found->second;
  if (const int64_t now = used_of_card(index_); before_ >= 0 && now > before_)
    return known[index_] = now - before_ + kLazyBytes;
  size_t available = 0, total = 0;
  if (driver().cuMemGetInfo(&available, &total) != CUDA_SUCCESS) return known[index_] = kTypicalContext;
  return known[index_] = std::min(kTypicalContext, static_cast<int64_t>(total - available) + kLazyBytes);
}

}  // namespace fude::cuda
