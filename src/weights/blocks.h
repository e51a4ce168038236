// Blocks<T>: the layers of a model. `blocks[i]` is either resident or read into a slot when it is asked for.
//
// Residents are spread evenly among the others. A streamed block is packed straight from the file into the one slot, whose previous
// block is overwritten.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "core/arena.h"
#include "core/backend.h"
#include "weights/loader.h"

namespace fude {

template <class T>
class Blocks {
 public:
  using Load = std::function<T(Loader&, int64_t index)>;

  // `resident` of the `count` blocks stay in memory. Nothing is read before a block is asked for.
  Blocks(const Backend& op, const Checkpoint& checkpoint, Component component, int64_t count, int64_t resident, Load load)
      : op_(op), checkpoint_(checkpoint), component_(component), load_(std::move(load)), slots_(static_cast<size_t>(count)) {
    // Spread as a line is drawn on a grid: block i stays when the running total of `resident` passes a multiple of `count`.
    for (int64_t i = 0; i < count; ++i)
      slots_[static_cast<size_t>(i)].resident = (i + 1) * resident / count > i * resident / count;
    if (resident < count) {
      int64_t largest = 0;
      for (int64_t i = 0; i < count; ++i)
        if (!slots_[static_cast<size_t>(i)].resident) largest = std::max(largest, measure(i));
      ring_bytes_ = largest;
    }
  }

  int64_t size() const { return static_cast<int64_t>(slots_.size()); }
  bool all_resident() const { return ring_bytes_ == 0; }
  bool is_resident(int64_t i) const { return slots_[static_cast<size_t>(i)].resident; }

  // Bytes of weights in memory once every block has been used.
  int64_t bytes() const { return resident_bytes() + ring_bytes(); }
  int64_t ring_bytes() const { return ring_bytes_; }
  int64_t resident_bytes() const {
    int64_t total = 0;
    for (int64_t i = 0; i < size(); ++i)
      if (is_resident(i)) total += measure(i);
    return total;
  }

  // Bytes of weights in memory now.
  int64_t allocated() const {
    int64_t total = ring_.size();
    for (const Slot& slot : slots_) total += slot.memory.size();
    return total;
  }

  // Gives the streamed block's memory back until one is asked for again.
  void release_ring() {
    ring_ = Buffer();
    in_ring_ = -1;
  }

  // Valid until a streamed block is asked for next. While the backend measures, the block's weights have no contents.
  const T& operator[](int64_t i) {
    Slot& slot = slots_[static_cast<size_t>(i)];
    if (op_.measuring()) {
      Arena nowhere = Arena::measuring();
      return measured_.emplace(load(i, nowhere));
    }
    if (slot.resident) {
      if (!slot.block) {
        slot.memory = op_.allocate(measure(i));
        slot.block = fill(i, slot.memory);
      }
      return *slot.block;
    }
    if (in_ring_ != i) {
      if (!ring_.data()) ring_ = op_.allocate(ring_bytes_);
      in_ring_ = -1;  // a failed load must not leave half a block behind
      streamed_ = fill(i, ring_);
      in_ring_ = i;
    }
    return *streamed_;
  }

 private:
  struct Slot {
    bool resident = false;
    Buffer memory;
    std::optional<T> block;
  };

  T load(int64_t i, Arena& memory) const {
    Loader loader(op_, checkpoint_, component_, memory);
    return load_(loader, i);
  }

  int64_t measure(int64_t i) const {
    Arena arena = Arena::measuring();
    load(i, arena);
    return arena.peak();
  }

  T fill(int64_t i, const Buffer& memory) const {
    Arena arena(memory);
    return load(i, arena);
  }

  const Backend& op_;
  const Checkpoint& checkpoint_;
  Component component_;
  Load load_;
  std::vector<Slot> slots_;
  std::optional<T> streamed_, measured_;
  Buffer ring_;
  int64_t ring_bytes_ = 0;
  int64_t in_ring_ = -1;
};

// A part of a model that is loaded whole: its embedders, its ends, a decoder.
template <class T>
class Whole : public Blocks<T> {
 public:
  Whole(const Backend& op, const Checkpoint& checkpoint, Component component, std::function<T(Loader&)> load)
      : Blocks<T>(op, checkpoint, component, 1, 1, [load = std::move(load)](Loader& loader, int64_t) { return load(loader); }) {}
  const T& operator*() { return (*this)[0]; }
  const T* operator->() { return &(*this)[0]; }
};

}  // namespace fude
