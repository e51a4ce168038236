// A GPU's properties and its resources: streams, events, memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <string>
#include <utility>

#include "core/arena.h"
#include "cuda/kernels.h"

namespace fude::cuda {

std::string version_text(int version);  // 13000 -> "13.0"

Card card_of(int index);              // `index` must be the current one
int compiled_for();                   // 75, 80 … of the code that the current GPU runs; compiled_for.cu
Buffer device_buffer(int64_t bytes);  // of the current GPU. Error{out_of_memory}
// Pinned host memory, for asynchronous copies: fresh, or a host_buffer that was already written to, which is pinned several
// times faster.
Buffer pinned_buffer(int64_t bytes);  // Error{out_of_memory}
Buffer pinned_buffer(Buffer filled);  // for every GPU; where the system refuses to pin it, copies from it only take longer

// A stream or an event, destroyed with its owner. Errors while destroying are those of a lost GPU, reported before.
template <class Handle, cudaError_t (*kDestroy)(Handle)>
class Owned {
 public:
  Owned() = default;
  explicit Owned(Handle handle) : handle_(handle) {}
  Owned(Owned&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Owned() {
    if (handle_) static_cast<void>(kDestroy(handle_));
  }
  operator Handle() const { return handle_; }

 private:
  Handle handle_ = nullptr;
};
using Stream = Owned<cudaStream_t, cudaStreamDestroy>;
using Event = Owned<cudaEvent_t, cudaEventDestroy>;

Stream make_stream();
Event make_event();

}  // namespace fude::cuda
