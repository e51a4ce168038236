// Slots of the ring, and prefetching into them.
#include "offload/ring.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace fude {

RingLayout::RingLayout(const Residency& residency, bool copies) {
  for (const int64_t layer : residency.streamed()) bytes = std::max(bytes, residency.bytes(layer));
  if (copies && residency.streamed().size() > 1) bytes *= 2;
  int64_t next = 0;
  for (const int64_t layer : residency.streamed()) {
    const int64_t begin = next + residency.bytes(layer) <= bytes ? next : 0;
    next = begin + residency.bytes(layer);
    slots.push_back({layer, begin, next});
  }
  const auto n = std::ssize(slots);
  for (int64_t use = n; use < 2 * n; ++use) {
    Slot& slot = slots[static_cast<size_t>(use % n)];
    const auto overlaps = [&](const Slot& other) { return other.begin < slot.end && slot.begin < other.end; };
    while (!overlaps(slots[static_cast<size_t>((use - slot.reuse_distance) % n)])) ++slot.reuse_distance;  // ends at itself
  }
}

Ring::Ring(const Ops& op, RingLayout layout, int64_t passes, Fill fill)
    : op_(op),
      layout_(std::move(layout)),
      uses_(passes * std::ssize(layout_.slots)),
      fill_(std::move(fill)),
      transfers_(layout_.slots.size()) {
  if (layout_.bytes > 0) memory_ = static_cast<std::byte*>(op.arena().allocate_back(layout_.bytes));
}

Ring::~Ring() {
  transfers_.clear();  // they write to the ring
  if (layout_.bytes > 0) op_.arena().free_back(layout_.bytes);
}

void Ring::acquire([[maybe_unused]] int64_t layer) {
  op_.poll();
  const int64_t use = next_use_++;
  assert(use < uses_ && layout_.slots[index_of(use)].layer == layer);
  while (prefetched_ < uses_ && prefetched_ - layout_.slots[index_of(prefetched_)].reuse_distance < use)
    prefetch(prefetched_++);
  if (const std::unique_ptr<Transfer> transfer = std::exchange(transfers_[index_of(use)], nullptr)) transfer->wait();
}

void Ring::prefetch(int64_t use) {
  const RingLayout::Slot& slot = layout_.slots[index_of(use)];
  std::unique_ptr<Transfer> transfer = op_.device().begin_transfer();
  fill_(slot.layer, memory_of(slot), *transfer);
  transfers_[index_of(use)] = std::move(transfer);
}

}  // namespace fude
