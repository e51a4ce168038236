// Properties of a card, its memory, streams and events, and the driver's failures as Errors.
#include "cuda/device.h"

#include "fude/error.h"

namespace fude::cuda {

void check(cudaError_t result, const char* doing) {
  if (result == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // so that the next call does not report it again
  const std::string what = std::string(cudaGetErrorName(result)) + " (" + cudaGetErrorString(result) + ")";
  if (result == cudaErrorMemoryAllocation)
    throw Error(Code::out_of_memory,
                {.what = std::string("the card ran out of memory while ") + doing + ". Ask for a smaller picture.",
                 .remedies = {{Remedy::close_other_programs}}});
  throw Error(Code::device, {.what = std::string("the card failed while ") + doing + ": " + what +
                                     ". Start fude again, and if it happens again look at the driver's log.",
                             .field = Field::device,
                             .remedies = {{Remedy::use_value, Field::device, {"cpu"}}}});
}

std::string version_text(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

Card card_of(int index) {
  Card card;
  const auto read = [&](cudaDeviceAttr attribute) {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, attribute, index), "asking what the card can do");
    return value;
  };
  card.capability = compiled_for();
  card.multiprocessors = read(cudaDevAttrMultiProcessorCount);
  card.shared_bytes = read(cudaDevAttrMaxSharedMemoryPerBlockOptin);
  card.resident_threads = read(cudaDevAttrMaxThreadsPerMultiProcessor);
  return card;
}

Buffer device_buffer(int64_t bytes) {
  if (bytes == 0) return {};
  void* memory = nullptr;
  check(cudaMalloc(&memory, static_cast<size_t>(bytes)), "taking memory");
  return {static_cast<std::byte*>(memory), bytes, [](std::byte* p) { static_cast<void>(cudaFree(p)); }};
}

Buffer pinned_buffer(int64_t bytes) {
  if (bytes == 0) return {};
  void* memory = nullptr;
  check(cudaMallocHost(&memory, static_cast<size_t>(bytes)), "taking pinned host memory");
  return {static_cast<std::byte*>(memory), bytes, [](std::byte* p) { static_cast<void>(cudaFreeHost(p)); }};
}

Buffer pinned_buffer(Buffer filled) {
  const int64_t bytes = filled.size();
  if (bytes == 0) return filled;
  if (cudaHostRegister(filled.data(), static_cast<size_t>(bytes), cudaHostRegisterPortable) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());  // so that the next call does not report it again
    return filled;
  }
  return {filled.release(), bytes, [](std::byte* memory) {
            static_cast<void>(cudaHostUnregister(memory));
            free_host_buffer(memory);
          }};
}

Stream make_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
  return Stream(stream);
}

Event make_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "making an event");
  return Event(event);
}

}  // namespace fude::cuda
