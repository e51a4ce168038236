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
  return {p, bytes, [](std::byte* memory) { ::operator delete(memory, kPage); }};
}

Arena Arena::measuring() { return Arena(nullptr, std::numeric_limits<int64_t>::max() / 2, true); }

void* Arena::allocate(int64_t bytes) {
  assert(bytes >= 0);
  const int64_t begin = used_;
  const int64_t size = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  if (size > capacity_ - begin)
    throw Error(Code::out_of_memory, "a plan of " + std::to_string(capacity_) + " bytes was exceeded by " +
                                         std::to_string(begin + size - capacity_) + " bytes; please report this request");
  used_ += size;
  peak_ = std::max(peak_, used_);
  // A measuring arena's addresses start at one page, so that no tensor looks empty.
  if (is_measuring()) return reinterpret_cast<void*>(static_cast<uintptr_t>(4096 + begin));
  return memory_ + begin;
}

void Arena::rewind(int64_t mark) {
  assert(mark >= 0 && mark <= used_);
  used_ = mark;
}

}  // namespace fude
