// Bump allocation from both ends of one memory: activations from the front, the slots that weights take turns in from the back.
// The temporaries of a block die when its Scope does; nothing else is ever freed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace fude {

// Memory of the host or of a device, given back when it goes.
class Buffer {
 public:
  using Free = void (*)(std::byte*);

  Buffer() = default;
  Buffer(std::byte* memory, int64_t bytes, Free free) : memory_(memory, free), size_(bytes) {}
  std::byte* data() const { return memory_.get(); }
  int64_t size() const { return size_; }
  std::byte* release() { return memory_.release(); }  // to whoever will free it

 private:
  std::unique_ptr<std::byte, Free> memory_{nullptr, nullptr};
  int64_t size_ = 0;
};

// Page-backed host memory, aligned for every kernel. Error{out_of_memory} when the system has none.
Buffer host_buffer(int64_t bytes);
void free_host_buffer(std::byte* memory);  // what a host_buffer released

class Arena {
 public:
  static constexpr int64_t kAlignment = 256;  // a cache line of every processor, and what copies of tiles on a card ask for

  // Hands out `memory`, which outlives the arena.
  explicit Arena(const Buffer& memory) : Arena(memory.data(), memory.size()) {}
  Arena(void* memory, int64_t capacity) : Arena(static_cast<std::byte*>(memory), capacity, false) {}
  // Hands out addresses that must never be touched and remembers how far they went: the same calls then fit a real arena of
  // peak() bytes exactly.
  static Arena measuring();

  void* allocate(int64_t bytes);       // Error{out_of_memory} past the capacity
  void* allocate_back(int64_t bytes);  // likewise, from the other end; given back in the opposite order
  void free_back(int64_t bytes);
  bool is_measuring() const { return measuring_; }
  int64_t used() const { return used_; }
  int64_t peak() const { return most_; }  // of both ends together
  void rewind(int64_t mark);              // back to an earlier used()

  // Runs first, then second so that it reuses nothing of what first allocated: both may be under way at once. Back to now after
  // them.
  template <class First, class Second>
  void beside(First&& first, Second&& second) {
    const int64_t mark = used_;
    const int64_t before = std::exchange(peak_, used_);
    first();
    used_ = peak_;
    second();
    peak_ = std::max(peak_, before);
    used_ = mark;
  }

 private:
  Arena(std::byte* memory, int64_t capacity, bool measuring) : memory_(memory), capacity_(capacity), measuring_(measuring) {}

  void check_room(int64_t bytes) const;
  void* at(int64_t offset) const;

  std::byte* memory_;
  int64_t capacity_;
  int64_t used_ = 0, back_ = 0;
  int64_t peak_ = 0;  // of used_
  int64_t most_ = 0;  // of used_ + back_
  bool measuring_;
};

// Gives back what was allocated after it was made.
class Scope {
 public:
  explicit Scope(Arena& arena) : arena_(arena), mark_(arena.used()) {}
  ~Scope() { arena_.rewind(mark_); }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  Arena& arena_;
  int64_t mark_;
};

}  // namespace fude
