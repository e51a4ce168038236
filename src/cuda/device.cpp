// Properties of a card, its memory, streams and events.
#include "cuda/device.h"

#include <array>
#include <atomic>

#include "cuda/machine_code.h"
#include "fude/error.h"

namespace fude::cuda {

namespace {

// Started cards, by their index.
constexpr size_t kMostCards = 64;
std::array<std::atomic<CUcontext>, kMostCards> contexts;

// For calls that end something: the driver finds out by itself of which card that is.
void use_any_card() {
  CUcontext current = nullptr;
  if (driver().cuCtxGetCurrent(&current) == CUDA_SUCCESS && current) return;
  for (const std::atomic<CUcontext>& context : contexts)
    if (context) {
      static_cast<void>(driver().cuCtxSetCurrent(context));
      return;
    }
}

}  // namespace

std::string version_text(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

void use_card(int index, const char* doing) {
  std::atomic<CUcontext>& context = contexts.at(static_cast<size_t>(index));
  if (!context) {  // two threads may both come here: they are given the same one
    CUdevice device = 0;
    CUcontext started = nullptr;
    check(driver().cuDeviceGet(&device, index), doing);
    check(driver().cuDevicePrimaryCtxRetain(&started, device), doing);
    context = started;
  }
  check(driver().cuCtxSetCurrent(context), doing);
}

Card card_of(int index) {
  const char* const doing = "asking what the card can do";
  CUdevice device = 0;
  check(driver().cuDeviceGet(&device, index), doing);
  const auto read = [&](CUdevice_attribute attribute) {
    int value = 0;
    check(driver().cuDeviceGetAttribute(&value, attribute, device), doing);
    return value;
  };
  return {.capability = compiled_for(),
          .multiprocessors = read(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
          .shared_bytes = read(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN),
          .resident_threads = read(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR)};
}

Buffer device_buffer(int64_t bytes) {
  if (bytes == 0) return {};
  CUdeviceptr memory = 0;
  check(driver().cuMemAlloc(&memory, static_cast<size_t>(bytes)), "taking memory");
  return {reinterpret_cast<std::byte*>(memory), bytes, [](std::byte* p) {
            use_any_card();
            static_cast<void>(driver().cuMemFree(address_of(p)));
          }};
}

Buffer pinned_buffer(int64_t bytes) {
  if (bytes == 0) return {};
  void* memory = nullptr;
  check(driver().cuMemAllocHost(&memory, static_cast<size_t>(bytes)), "taking pinned host memory");
  return {static_cast<std::byte*>(memory), bytes, [](std::byte* p) {
            use_any_card();
            static_cast<void>(driver().cuMemFreeHost(p));
          }};
}

Buffer pinned_buffer(Buffer filled) {
  const int64_t bytes = filled.size();
  if (bytes == 0) return filled;
  if (driver().cuMemHostRegister(filled.data(), static_cast<size_t>(bytes), kHostRegisterPortable) != CUDA_SUCCESS)
    return filled;
  return {filled.release(), bytes, [](std::byte* memory) {
            use_any_card();
            static_cast<void>(driver().cuMemHostUnregister(memory));
            free_host_buffer(memory);
          }};
}

Stream make_stream() {
  CUstream stream = nullptr;
  check(driver().cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), "making a stream");
  return Stream(stream);
}

Event make_event() {
  CUevent event = nullptr;
  check(driver().cuEventCreate(&event, CU_EVENT_DISABLE_TIMING), "making an event");
  return Event(event);
}

void destroy(CUstream stream) {
  use_any_card();
  static_cast<void>(driver().cuStreamDestroy(stream));
}
void destroy(CUevent event) {
  use_any_card();
  static_cast<void>(driver().cuEventDestroy(event));
}
void destroy(CUgraph graph) {
  use_any_card();
  static_cast<void>(driver().cuGraphDestroy(graph));
}
void destroy(CUgraphExec executable) {
  use_any_card();
  static_cast<void>(driver().cuGraphExecDestroy(executable));
}

}  // namespace fude::cuda
