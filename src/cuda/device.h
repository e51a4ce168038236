// A GPU's properties and its resources: streams, events, memory.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "core/arena.h"
#include "cuda/driver.h"
#include "cuda/kernels.h"

namespace fude::cuda {

std::string version_text(int version);  // 13000 -> "13.0"

// Makes a card the one that this thread's calls go to. The first time it is started: its context, CUDA's "primary" one, lives
// as long as the process.
void use_card(int index, const char* doing);

Card card_of(int index);              // of the card in use
Buffer device_buffer(int64_t bytes);  // of the card in use. Error{out_of_memory}
// Pinned host memory, for asynchronous copies: fresh, or a host_buffer that was already written to, which is pinned several
// times faster.
Buffer pinned_buffer(int64_t bytes);  // Error{out_of_memory}
Buffer pinned_buffer(Buffer filled);  // for every GPU; where the system refuses to pin it, copies from it only take longer

// What is given back may be given back by a thread that has used no card; the driver wants it to use one. Errors while giving
// back are those of a lost GPU, reported before.
void destroy(CUstream stream);
void destroy(CUevent event);
void destroy(CUgraph graph);
void destroy(CUgraphExec executable);

// A handle that is destroyed with its owner.
template <class Handle>
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
    if (handle_) destroy(handle_);
  }
  operator Handle() const { return handle_; }

 private:
  Handle handle_ = nullptr;
};
using Stream = Owned<CUstream>;
using Event = Owned<CUevent>;
using Graph = Owned<CUgraph>;
using GraphExec = Owned<CUgraphExec>;

Stream make_stream();
Event make_event();

}  // namespace fude::cuda
