// Page-aligned host memory, allocating from both ends of a memory, and what says that it is too small.
#include "core/arena.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <new>
#include <string>

#include "fude/error.h"

namespace fude {

namespace {
constexpr std::align_val_t kPage{4096};
}

Buffer host_buffer(int64_t bytes) {
  if (bytes == 0) return {};
  auto* p = static_cast<std::byte*>(::operator new(static_cast<size_t>(bytes), kPage, std::nothrow));
  if (!p)
    throw Error(Code::out_of_memory, "the system has no " + std::to_string(bytes >> 20) +
                                         " MiB of memory left; close other programs or ask for a smaller picture");
  return {p, bytes, free_host_buffer};
}

void free_host_buffer(std::byte* memory) { ::operator delete(memory, kPage); }

Arena Arena::measuring() { return Arena(nullptr, std::numeric_limits<int64_t>::max() / 2, true); }

namespace {
int64_t aligned(int64_t bytes) { return (bytes + Arena::kAlignment - 1) / Arena::kAlignment * Arena::kAlignment; }
}  // namespace

void Arena::check_room(int64_t bytes) const {
  assert(bytes >= 0);
  if (const int64_t missing = used_ + back_ + bytes - capacity_; missing > 0)
    throw Error(Code::out_of_memory, "a plan of " + std::to_string(capacity_) + " bytes was exceeded by " +
                                         std::to_string(missing) + " bytes; please report this request");
}

// A measuring arena's addresses start at one page, so that no tensor looks empty.
void* Arena::at(int64_t offset) const {
  if (is_measuring()) return reinterpret_cast<void*>(static_cast<uintptr_t>(4096 + offset));
  return memory_ + offset;
}

void* Arena::allocate(int64_t bytes) {
  const int64_t begin = used_;
  const int64_t size = aligned(bytes);
  check_room(size);
  used_ += size;
  peak_ = std::max(peak_, used_);
  most_ = std::max(most_, used_ + back_);
  return at(begin);
}

void* Arena::allocate_back(int64_t bytes) {
  const int64_t size = aligned(bytes);
  check_room(size);
  back_ += size;
  most_ = std::max(most_, used_ + back_);
  return at(capacity_ - back_);
}

void Arena::free_back(int64_t bytes) {
  back_ -= aligned(bytes);
  assert(back_ >= 0);
}

void Arena::rewind(int64_t mark) {
  assert(mark >= 0 && mark <= used_);
  used_ = mark;
}

}  // namespace fude
