// Blocks<T>: the layers of a model, used in order. Some are resident on the device; the others are streamed through a ring.
//
// Residents are spread evenly among the streamed blocks, so that copies overlap with their use. A block always gets the same
// slot of the ring, so that the work after the wait for it can be captured in a graph. A block is prefetched as soon as all
// blocks whose slots overlap its own have been used. Its source is host memory, where host-offloaded blocks lie already packed
// and pinned, or else the file.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/arena.h"
#include "core/ops.h"
#include "weights/loader.h"
#include "weights/weight_source.h"

namespace fude {

template <class T>
class Blocks {
  static constexpr int64_t kReadAhead = 4;  // blocks whose loading has begun before the first of them must be there

 public:
  using Load = std::function<T(Loader&, int64_t index)>;

  // Only measures the blocks: nothing is resident and nothing is read yet.
  Blocks(Device& device, WeightFormat format, const WeightSource& source, int64_t count, Load load)
      : device_(device), format_(format), source_(source), load_(std::move(load)), blocks_(static_cast<size_t>(count)) {
    for (int64_t i = 0; i < count; ++i) {
      Arena measuring = Arena::measuring();
      at(i).measured = std::make_shared<const T>(load_one(i, measuring, nullptr));
      at(i).bytes = measuring.peak();
    }
    keep(0);
  }
  // A copy has the same residency and no contents: what a dry run needs.
  Blocks(const Blocks& other)
      : device_(other.device_),
        format_(other.format_),
        source_(other.source_),
        load_(other.load_),
        streamed_(other.streamed_),
        ring_bytes_(other.ring_bytes_) {
    for (const Block& block : other.blocks_)
      blocks_.push_back({.bytes = block.bytes,
                         .measured = block.measured,
                         .resident = block.resident,
                         .host_offloaded = block.host_offloaded,
                         .slot = block.slot,
                         .reuse_distance = block.reuse_distance});
  }
  Blocks& operator=(const Blocks&) = delete;

  // ---- residency -----------------------------------------------------------------------------------------------------------

  // `resident` blocks will stay on the device once they were used or loaded, in memory that `place` assigns; of the others, as
  // many as fit into `host_bytes` will be host-offloaded. Forgets all that was loaded before.
  void keep(int64_t resident, int64_t host_bytes = 0) {
    streamed_.clear();
    for (int64_t i = 0; i < size(); ++i) {
      Block& block = at(i);
      block.transfer.reset();  // waits for it, before its memory is freed
      block = {.bytes = block.bytes, .measured = std::move(block.measured)};
      // Spread as a line is drawn on a grid: block i is resident when the running total of `resident` passes a multiple of the
      // count.
      block.resident = (i + 1) * resident / size() > i * resident / size();
      if (block.resident) continue;
      streamed_.push_back(i);
      block.host_offloaded = !device_.on_host() && block.bytes <= host_bytes;
      if (block.host_offloaded) host_bytes -= block.bytes;
    }
    lay_out();
  }

  // Allocates the residents from an arena, which must outlive their use. A measuring arena says how much they take.
  void place(Arena& memory) {
    for (Block& block : blocks_)
      if (block.resident) block.memory = memory.allocate(block.bytes);
  }

  int64_t size() const { return static_cast<int64_t>(blocks_.size()); }
  int64_t resident() const { return size() - static_cast<int64_t>(streamed_.size()); }
  int64_t bytes() const {
    return total([](const Block&) { return true; });
  }
  int64_t resident_bytes() const {
    return total([](const Block& block) { return block.resident; });
  }
  int64_t host_bytes() const {
    return total([](const Block& block) { return block.host_offloaded; });
  }
  int64_t slot_bytes() const { return ring_bytes_; }

  // ---- use -----------------------------------------------------------------------------------------------------------------

  // Loads all resident and host-offloaded blocks. `starts` is called before each.
  void load(const Ops& op, const std::function<void(int64_t index)>& starts = {}) {
    for (int64_t i = 0; i < size() + kReadAhead; ++i) {
      op.poll();
      if (i < size()) {
        if (starts) starts(i);
        begin_load(i);
      }
      if (i >= kReadAhead) end_load(i - kReadAhead);
    }
  }

  // While it lives, streamed blocks can be used too: all blocks in order, `passes` times over. The ring comes from the back of
  // the run's arena.
  class [[nodiscard]] StreamedPasses {
   public:
    StreamedPasses(Blocks& blocks, const Ops& op, int64_t passes) : blocks_(blocks), op_(op) {
      blocks_.begin_passes(op, passes);
    }
    ~StreamedPasses() { blocks_.end_passes(op_); }
    StreamedPasses(const StreamedPasses&) = delete;
    StreamedPasses& operator=(const StreamedPasses&) = delete;

   private:
    Blocks& blocks_;
    const Ops& op_;
  };
  StreamedPasses stream(const Ops& op, int64_t passes) { return StreamedPasses(*this, op, passes); }

  // Valid until the next call. In a dry run the weights have no contents.
  const T& get(Ops& op, int64_t i) {
    Block& block = at(i);
    if (op.measuring()) return *block.measured;
    if (block.resident) {
      begin_load(i);
      end_load(i);
    } else {
      op.host_callback([this, &op, i] { acquire(op, i); });
    }
    return *block.weights;
  }

 private:
  struct Block {
    int64_t bytes = 0;
    std::shared_ptr<const T> measured;  // for dry runs: shapes without contents
    bool resident = false, host_offloaded = false;
    void* memory = nullptr;                // of a resident
    int64_t slot = 0, reuse_distance = 0;  // offset in the ring; uses since the previous user of an overlapping slot
    Buffer on_host;
    std::optional<T> weights;
    std::unique_ptr<Transfer> transfer;  // while it is in flight
  };

  Block& at(int64_t i) { return blocks_[static_cast<size_t>(i)]; }
  Block& streamed(int64_t use) { return at(streamed_[static_cast<size_t>(use % std::ssize(streamed_))]); }

  template <class Which>
  int64_t total(const Which& which) const {
    int64_t bytes = 0;
    for (const Block& block : blocks_)
      if (which(block)) bytes += block.bytes;
    return bytes;
  }

  T load_one(int64_t i, Arena& memory, Transfer* transfer) const {
    Loader loader(device_, format_, source_, memory, transfer);
    return load_(loader, i);
  }
  T load_at(int64_t i, void* memory, Transfer* transfer) {
    Arena arena(memory, at(i).bytes);
    return load_one(i, arena, transfer);
  }

  // Twice the largest block, so that one is copied while another is used. A device that computes in host memory copies
  // nothing: once is enough.
  void lay_out() {
    ring_bytes_ = 0;
    for (const int64_t i : streamed_) ring_bytes_ = std::max(ring_bytes_, at(i).bytes);
    if (!device_.on_host() && streamed_.size() > 1) ring_bytes_ *= 2;
    int64_t next = 0;
    for (const int64_t i : streamed_) {
      Block& block = at(i);
      block.slot = next + block.bytes <= ring_bytes_ ? next : 0;
      next = block.slot + block.bytes;
    }
    const auto n = std::ssize(streamed_);
    for (int64_t use = n; use < 2 * n; ++use) {
      Block& block = streamed(use);
      const auto overlap = [&](const Block& other) {
        return other.slot < block.slot + block.bytes && block.slot < other.slot + other.bytes;
      };
      block.reuse_distance = 1;
      while (!overlap(streamed(use - block.reuse_distance))) ++block.reuse_distance;  // ends at itself, one pass earlier
    }
  }

  void begin_load(int64_t i) {
    Block& block = at(i);
    if (block.weights || block.on_host.data() || !(block.resident || block.host_offloaded)) return;
    try {
      block.transfer = device_.begin_transfer(block.resident ? Side::device : Side::host);
      if (block.resident) {
        block.weights = load_at(i, block.memory, block.transfer.get());
      } else {
        block.on_host = host_buffer(block.bytes);
        load_at(i, block.on_host.data(), block.transfer.get());
      }
    } catch (...) {
      forget(block);
      throw;
    }
  }

  // Waits for unfinished copies before their memory is freed. The block is loaded again at its next use.
  void forget(Block& block) {
    block.transfer.reset();
    block.weights.reset();
    block.on_host = {};
  }

  void end_load(int64_t i) {
    Block& block = at(i);
    if (!block.transfer) return;
    try {
      std::exchange(block.transfer, nullptr)->wait();
      if (block.host_offloaded) block.on_host = device_.pinned(std::move(block.on_host));
    } catch (...) {
      forget(block);
      throw;
    }
  }

  void begin_passes(const Ops& op, int64_t passes) {
    if (streamed_.empty()) return;
    if (!op.measuring()) load(op);
    void* const ring = op.arena().allocate_back(ring_bytes_);
    if (op.measuring()) return;
    ring_ = static_cast<std::byte*>(ring);
    next_use_ = prefetched_ = 0;
    uses_ = passes * std::ssize(streamed_);
    for (const int64_t i : streamed_)
      if (at(i).on_host.data()) at(i).weights = load_at(i, ring_ + at(i).slot, nullptr);
  }

  void end_passes(const Ops& op) {
    if (streamed_.empty()) return;
    for (const int64_t i : streamed_) at(i).transfer.reset();  // they write to the ring
    op.arena().free_back(ring_bytes_);
    if (!op.measuring()) ring_ = nullptr;
  }

  void acquire(const Ops& op, int64_t i) {
    op.poll();
    const int64_t use = next_use_++;
    assert(ring_ && use < uses_ && streamed_[static_cast<size_t>(use % std::ssize(streamed_))] == i);
    while (prefetched_ < uses_ && prefetched_ - streamed(prefetched_).reuse_distance < use) prefetch(prefetched_++);
    if (const std::unique_ptr<Transfer> transfer = std::exchange(at(i).transfer, nullptr)) transfer->wait();
  }

  void prefetch(int64_t use) {
    const int64_t i = streamed_[static_cast<size_t>(use % std::ssize(streamed_))];
    Block& block = at(i);
    std::unique_ptr<Transfer> transfer = device_.begin_transfer();
    if (block.on_host.data()) transfer->copy(ring_ + block.slot, block.on_host.data(), block.bytes);
    else block.weights = load_at(i, ring_ + block.slot, transfer.get());
    block.transfer = std::move(transfer);
  }

  Device& device_;
  const WeightFormat format_;
  const WeightSource source_;
  Load load_;
  std::vector<Block> blocks_;
  std::vector<int64_t> streamed_;  // blocks that are not resident
  int64_t ring_bytes_ = 0;
  std::byte* ring_ = nullptr;
  int64_t next_use_ = 0, prefetched_ = 0, uses_ = 0;  // the next to be used, the next to be prefetched, all
};

// A part of a model that is loaded as one block: its embedders, its ends, a decoder.
template <class T>
class Whole : public Blocks<T> {
 public:
  Whole(Device& device, WeightFormat format, const WeightSource& source, std::function<T(Loader&)> load)
      : Blocks<T>(device, format, source, 1, [load = std::move(load)](Loader& loader, int64_t) { return load(loader); }) {}
  const T& get(Ops& op) { return Blocks<T>::get(op, 0); }
};

}  // namespace fude
