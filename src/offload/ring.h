// Ring: the memory that streamed layers share, and when each of them is copied into it.
//
// A layer always has the same slot, so that the work between two waits can be captured in a graph. It is prefetched as soon as
// all layers whose slots overlap its own have been used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/ops.h"
#include "offload/residency.h"

namespace fude {

struct RingLayout {
  struct Slot {
    int64_t layer;
    int64_t begin, end;          // bytes of the ring
    int64_t reuse_distance = 1;  // uses since the last one of an overlapping slot
  };

  // Of the layers that are not resident: twice the largest, so that one is copied while another is used. Without `copies`, on
  // a device that computes in host memory, once is enough.
  RingLayout(const Residency& residency, bool copies);

  int64_t bytes = 0;
  std::vector<Slot> slots;  // in the order of use
};

class Ring {
 public:
  // Begins to bring a layer into its slot.
  using Fill = std::function<void(int64_t layer, void* slot, Transfer& transfer)>;

  // From the back of the run's arena. Its layers are used in order, `passes` times over.
  Ring(const Ops& op, RingLayout layout, int64_t passes, Fill fill);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  const std::vector<RingLayout::Slot>& slots() const { return layout_.slots; }
  void* memory_of(const RingLayout::Slot& slot) const { return memory_ + slot.begin; }

  // Waits for the layer whose turn it is, and prefetches those that may now come. The layer before has been used.
  void acquire(int64_t layer);

 private:
  size_t index_of(int64_t use) const { return static_cast<size_t>(use % std::ssize(layout_.slots)); }
  void prefetch(int64_t use);

  const Ops& op_;
  const RingLayout layout_;
  const int64_t uses_;
  const Fill fill_;
  std::byte* memory_ = nullptr;
  std::vector<std::unique_ptr<Transfer>> transfers_;  // of each slot, while it is in flight
  int64_t next_use_ = 0, prefetched_ = 0;             // the next to be acquired, the next to be prefetched
};

}  // namespace fude
