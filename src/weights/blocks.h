// Blocks<T>: the layers of a model, used one after the other. Some stay on the device; the others take turns in slots there.
//
// Residents are spread evenly among the others, so that copies go on while they are used. A block always takes the same slot:
// what follows the wait for it can be recorded. Slots are pieces of one ring, laid out one after the other from its start; a
// block is sent for as soon as everything that lies where it will lie was used. What is sent comes from the host's memory,
// where it waits as the device wants it, or else from the file.
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
#include "core/backend.h"
#include "weights/loader.h"

namespace fude {

template <class T>
class Blocks {
  static constexpr int64_t kReadAhead = 4;  // blocks that are asked for before the first of them must be there

 public:
  using Load = std::function<T(Loader&, int64_t index)>;

  // Nothing stays and nothing is read yet.
  Blocks(Backend& op, const Checkpoint& checkpoint, Component component, int64_t count, Load load)
      : op_(op), checkpoint_(checkpoint), component_(component), load_(std::move(load)), blocks_(static_cast<size_t>(count)) {
    for (int64_t i = 0; i < count; ++i) {
      Arena measuring = Arena::measuring();
      at(i).without_contents = load_one(i, measuring, {});
      at(i).bytes = measuring.peak();
    }
    keep(0);
  }

  // ---- where they are ------------------------------------------------------------------------------------------------------

  // `resident` blocks will stay on the device once they were used or loaded, in memory that `place` gives them; of the others,
  // as many as take at most `host_bytes` will wait in the host's memory. Forgets what was there before.
  void keep(int64_t resident, int64_t host_bytes = 0) {
    streamed_.clear();
    for (int64_t i = 0; i < size(); ++i) {
      Block& block = at(i);
      block.transfer.reset();  // it is waited for before its memory goes
      block = {.bytes = block.bytes, .without_contents = std::move(block.without_contents)};
      // Spread as a line is drawn on a grid: block i stays when the running total of `resident` passes a multiple of the count.
      block.resident = (i + 1) * resident / size() > i * resident / size();
      if (block.resident) continue;
      streamed_.push_back(i);
      block.waits_on_host = !op_.on_host() && block.bytes <= host_bytes;
      if (block.waits_on_host) host_bytes -= block.bytes;
    }
    lay_out();
  }

  // Takes the residents' memory, which outlives their use, from an arena. A measuring one says how much it is.
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
    return total([](const Block& block) { return block.waits_on_host; });
  }
  int64_t slot_bytes() const { return ring_bytes_; }

  // ---- use -----------------------------------------------------------------------------------------------------------------

  // Reads what will stay, on the device and on the host. `starts` is called before each block.
  void load(const std::function<void(int64_t index)>& starts = {}) {
    for (int64_t i = 0; i < size() + kReadAhead; ++i) {
      op_.poll();
      if (i < size()) {
        if (starts) starts(i);
        begin_to_keep(i);
      }
      if (i >= kReadAhead) end_to_keep(i - kReadAhead);
    }
  }

  // While it lives, blocks that do not stay can be used as well: from the first to the last, `passes` times over. Their slots
  // come from the back of the backend's arena.
  class [[nodiscard]] Turns {
   public:
    Turns(Blocks& blocks, int64_t passes) : blocks_(blocks) { blocks_.begin_turns(passes); }
    ~Turns() { blocks_.end_turns(); }
    Turns(const Turns&) = delete;
    Turns& operator=(const Turns&) = delete;

   private:
    Blocks& blocks_;
  };
  Turns turns(int64_t passes) { return Turns(*this, passes); }

  // Valid until the next one is asked for. While the backend measures, the block's weights have no contents.
  const T& operator[](int64_t i) {
    Block& block = at(i);
    if (op_.measuring()) return *block.without_contents;
    if (block.resident) {
      begin_to_keep(i);
      end_to_keep(i);
    } else {
      op_.host_callback([this, i] { turn_to(i); });
    }
    return *block.weights;
  }

 private:
  struct Block {
    int64_t bytes = 0;
    std::optional<T> without_contents;  // for measuring
    bool resident = false, waits_on_host = false;
    void* memory = nullptr;        // a resident's
    int64_t slot = 0, behind = 0;  // offset in the ring; how many turns before its own the slot was used last
    Buffer on_host;
    std::optional<T> weights;
    std::unique_ptr<Transfer> transfer;  // while it is on its way
  };

  Block& at(int64_t i) { return blocks_[static_cast<size_t>(i)]; }
  Block& streamed(int64_t turn) { return at(streamed_[static_cast<size_t>(turn % std::ssize(streamed_))]); }

  template <class Which>
  int64_t total(const Which& which) const {
    int64_t bytes = 0;
    for (const Block& block : blocks_)
      if (which(block)) bytes += block.bytes;
    return bytes;
  }

  T load_one(int64_t i, Arena& memory, std::optional<Side> fill) const {
    Loader loader(op_, checkpoint_, component_, memory, fill);
    return load_(loader, i);
  }
  T load_at(int64_t i, void* memory, std::optional<Side> fill) {
    Arena arena(memory, at(i).bytes);
    return load_one(i, arena, fill);
  }

  // Two slots of the largest size let copies go on all the time; what computes in the host's memory has nothing to copy
  // meanwhile.
  void lay_out() {
    ring_bytes_ = 0;
    for (const int64_t i : streamed_) ring_bytes_ = std::max(ring_bytes_, at(i).bytes);
    if (!op_.on_host() && streamed_.size() > 1) ring_bytes_ *= 2;
    int64_t next = 0;
    for (const int64_t i : streamed_) {
      Block& block = at(i);
      block.slot = next + block.bytes <= ring_bytes_ ? next : 0;
      next = block.slot + block.bytes;
    }
    const auto n = std::ssize(streamed_);
    for (int64_t turn = n; turn < 2 * n; ++turn) {
      Block& block = streamed(turn);
      const auto overlap = [&](const Block& other) {
        return other.slot < block.slot + block.bytes && block.slot < other.slot + other.bytes;
      };
      block.behind = 1;
      while (!overlap(streamed(turn - block.behind))) ++block.behind;  // at the latest it meets itself
    }
  }

  void begin_to_keep(int64_t i) {
    Block& block = at(i);
    if (block.weights || block.on_host.data() || !(block.resident || block.waits_on_host)) return;
    try {
      if (block.resident) {
        block.weights = load_at(i, block.memory, Side::device);
      } else {
        block.on_host = host_buffer(block.bytes);
        load_at(i, block.on_host.data(), Side::host);
      }
      block.transfer = op_.transfer();
    } catch (...) {
      forget(block);
      throw;
    }
  }

  // What was asked for has ended before its memory goes; it is read again when it is asked for again.
  void forget(Block& block) {
    block.transfer.reset();
    static_cast<void>(op_.transfer());
    block.weights.reset();
    block.on_host = {};
  }

  void end_to_keep(int64_t i) {
    Block& block = at(i);
    if (!block.transfer) return;
    try {
      std::exchange(block.transfer, nullptr)->wait();
      if (block.waits_on_host) block.on_host = op_.pinned(std::move(block.on_host));
    } catch (...) {
      forget(block);
      throw;
    }
  }

  void begin_turns(int64_t passes) {
    if (streamed_.empty()) return;
    if (!op_.measuring()) load();
    ring_ = static_cast<std::byte*>(op_.arena().allocate_back(ring_bytes_));
    if (op_.measuring()) return;
    turn_ = sent_ = 0;
    turns_ = passes * std::ssize(streamed_);
    for (const int64_t i : streamed_)
      if (at(i).on_host.data()) at(i).weights = load_at(i, ring_ + at(i).slot, {});
  }

  void end_turns() {
    if (streamed_.empty()) return;
    for (const int64_t i : streamed_) at(i).transfer.reset();
    op_.arena().free_back(ring_bytes_);
    ring_ = nullptr;
  }

  void turn_to(int64_t i) {
    op_.poll();
    const int64_t turn = turn_++;
    assert(ring_ && turn < turns_ && streamed_[static_cast<size_t>(turn % std::ssize(streamed_))] == i);
    while (sent_ < turns_ && sent_ - streamed(sent_).behind < turn) send(sent_++);
    if (const std::unique_ptr<Transfer> transfer = std::exchange(at(i).transfer, nullptr)) transfer->wait();
  }

  void send(int64_t turn) {
    Block& block = streamed(turn);
    try {
      if (block.on_host.data()) op_.copy_weights(ring_ + block.slot, block.on_host.data(), block.bytes);
      else
        block.weights = load_at(streamed_[static_cast<size_t>(turn % std::ssize(streamed_))], ring_ + block.slot, Side::device);
      block.transfer = op_.transfer();
    } catch (...) {
      static_cast<void>(op_.transfer());  // threads may be writing to the ring
      throw;
    }
  }

  Backend& op_;
  const Checkpoint& checkpoint_;
  Component component_;
  Load load_;
  std::vector<Block> blocks_;
  std::vector<int64_t> streamed_;  // those that take turns
  int64_t ring_bytes_ = 0;
  std::byte* ring_ = nullptr;
  int64_t turn_ = 0, sent_ = 0, turns_ = 0;  // next to be used, next to be sent, in all
};

// A part of a model that is loaded whole: its embedders, its ends, a decoder.
template <class T>
class Whole : public Blocks<T> {
 public:
  Whole(Backend& op, const Checkpoint& checkpoint, Component component, std::function<T(Loader&)> load)
      : Blocks<T>(op, checkpoint, component, 1, [load = std::move(load)](Loader& loader, int64_t) { return load(loader); }) {}
  const T& operator*() { return (*this)[0]; }
  const T* operator->() { return &(*this)[0]; }
};

}  // namespace fude
