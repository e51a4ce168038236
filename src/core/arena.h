// Bump allocation. The temporaries of a block die when its Scope does; nothing else is ever freed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace fude {

// Page-backed host memory, aligned for every kernel. Error{out_of_memory} when the system has none.
class HostBuffer {
 public:
  HostBuffer() = default;
  explicit HostBuffer(int64_t bytes);
  std::byte* data() const { return memory_.get(); }
  int64_t size() const { return size_; }

 private:
  struct Free {
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte, Free> memory_;
  int64_t size_ = 0;
};

class Arena {
 public:
  static constexpr int64_t kAlignment = 64;

  Arena(std::byte* memory, int64_t capacity) : memory_(memory), capacity_(capacity) {}
  // Hands out addresses that must never be touched and remembers how far they went: the same calls then fit a real arena of
  // peak() bytes exactly.
  static Arena measuring();

  void* allocate(int64_t bytes);  // Error{out_of_memory} past the capacity
  bool is_measuring() const { return memory_ == nullptr; }
  int64_t used() const { return used_; }
  int64_t peak() const { return peak_; }
  void rewind(int64_t mark);  // back to an earlier used()

 private:
  std::byte* memory_;
  int64_t capacity_;
  int64_t used_ = 0;
  int64_t peak_ = 0;
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
