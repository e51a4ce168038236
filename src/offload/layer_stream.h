// LayerStream<T>: the layers of a model, one after the other, as a forward pass receives them.
//
//   LayerStream layers(op, mmdit.blocks, steps);
//   for (…) joint_block(op, layers.next(), …);
//
// What stays is there, and costs next() nothing. What is streamed has been prefetched, and next() waits for it: on the host,
// between the pieces of a captured graph.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/ops.h"
#include "offload/layers.h"
#include "offload/ring.h"

namespace fude {

template <class T>
class [[nodiscard]] LayerStream {
 public:
  // All layers in order, `passes` times over. Loads what stays and is not there yet; takes the ring from the back of the run's
  // arena, until it goes. Outlives graphs that its layers were used in. Several streams may be in use at once, of the same
  // layers too; the last made is the first to go.
  LayerStream(Ops& op, Layers<T>& layers, int64_t passes)
      : op_(op),
        layers_(layers),
        passes_(passes),
        ring_(op, layers.ring(), passes,
              [this](int64_t i, void* slot, Transfer& transfer) { layers_.fill(i, slot, transfer); }),
        weights_(static_cast<size_t>(layers.size())) {
    if (op.measuring()) return;
    layers.load(op);
    for (const RingLayout::Slot& slot : ring_.slots())
      weights_[static_cast<size_t>(slot.layer)] = layers.bind(slot.layer, ring_.memory_of(slot), nullptr);
  }
  LayerStream(const LayerStream&) = delete;
  LayerStream& operator=(const LayerStream&) = delete;

  int64_t size() const { return layers_.size(); }

  // The next layer; after the last of a pass the first again. Valid until the next call. In a dry run it has no contents.
  const T& next() {
    assert(next_ < passes_ * size());
    const int64_t i = next_++ % size();
    if (op_.measuring()) return layers_.measured(i);
    const std::optional<T>& streamed = weights_[static_cast<size_t>(i)];
    if (!streamed) return *layers_.at(i).weights;
    op_.host_callback([this, i] { ring_.acquire(i); });
    return *streamed;
  }

 private:
  Ops& op_;
  Layers<T>& layers_;
  [[maybe_unused]] const int64_t passes_;
  Ring ring_;
  std::vector<std::optional<T>> weights_;  // of streamed layers, in their slots
  int64_t next_ = 0;                       // of all passes; a graph that is replayed does not come here
};

// A part that is loaded as a whole, on the device while this lives.
template <class T>
class [[nodiscard]] OnDevice {
 public:
  OnDevice(Ops& op, Whole<T>& part) : stream_(op, part, 1), weights_(stream_.next()) {}

  const T& operator*() const { return weights_; }
  const T* operator->() const { return &weights_; }

 private:
  LayerStream<T> stream_;
  const T& weights_;
};

}  // namespace fude
