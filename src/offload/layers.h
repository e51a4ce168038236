// Layers<T>: the layers of one part of a model on one device: how large they are, where each lies, and what is loaded of them.
//
// A forward pass does not see this: it receives a stream of them (offload/layer_stream.h).
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <typeindex>
#include <utility>
#include <vector>

#include "core/arena.h"
#include "core/fnv.h"
#include "core/ops.h"
#include "offload/packed_host.h"
#include "offload/residency.h"
#include "offload/ring.h"
#include "weights/loader.h"
#include "weights/weight_source.h"

namespace fude {

// Where layers may be host-offloaded, and how many bytes of them.
struct HostShare {
  PackedHost* store = nullptr;
  int64_t bytes = 0;
};

template <class T>
class LayerStream;

template <class T>
class Layers {
  static constexpr int64_t kReadAhead = 4;  // layers whose loading has begun before the first of them must be there

 public:
  using Load = std::function<T(Loader&, int64_t layer)>;

  // Only measures the layers: nothing is resident and nothing is read yet.
  Layers(Device& device, WeightFormat format, const WeightSource& source, int64_t count, Load load)
      : device_(device),
        format_(format),
        source_(source),
        load_(std::move(load)),
        residency_({}),
        held_(static_cast<size_t>(count)) {
    std::vector<Measured> measured(static_cast<size_t>(count));
    std::vector<int64_t> bytes;
    for (int64_t i = 0; i < count; ++i) {
      Arena measuring = Arena::measuring();
      Loader loader(device_, format_, source_, measuring, nullptr);
      Measured& layer = measured[static_cast<size_t>(i)];
      loader.record(layer.tensors);
      layer.weights = load_(loader, i);
      bytes.push_back(measuring.peak());
    }
    measured_ = std::make_shared<const std::vector<Measured>>(std::move(measured));
    residency_ = Residency(std::move(bytes));
  }
  // A copy has the same residency and no contents: what a dry run needs.
  Layers(const Layers& other)
      : device_(other.device_),
        format_(other.format_),
        source_(other.source_),
        load_(other.load_),
        measured_(other.measured_),
        residency_(other.residency_),
        host_(other.host_),
        held_(other.held_.size()) {}
  Layers& operator=(const Layers&) = delete;

  // Makes weights from this source from now on. Layers that were loaded and would be other bytes now are stale: they are loaded
  // again when they are next used.
  void use(const WeightSource& source) {
    source_ = source;
    for (int64_t i = 0; i < size(); ++i) {
      if (at(i).epoch == epoch(i)) continue;
      at(i).weights.reset();
      at(i).on_host.reset();
    }
  }

  // Decides where each layer lies (see Residency), and forgets all that was loaded. A device that computes in host memory
  // offloads nothing there.
  void keep(int64_t resident, const HostShare& host = {}) {
    assert(host.store || host.bytes == 0);
    residency_.keep(resident, device_.on_host() ? 0 : host.bytes);
    host_ = host.store;
    for (Held& held : held_) held = {};
  }
  // Allocates the residents from an arena, which outlives their use. A measuring arena says how much they take.
  void place(Arena& memory) {
    for (int64_t i = 0; i < size(); ++i)
      if (residency_.home(i) == Home::device) at(i).memory = memory.allocate(residency_.bytes(i));
  }
  // Loads resident and host-offloaded layers that are not there yet. `starts` is called before each layer.
  void load(const Ops& op, const std::function<void(int64_t layer)>& starts = {}) {
    std::deque<Loading> under_way;  // an error ends them, and their layers are loaded at the next call
    for (int64_t i = 0; i < size() + kReadAhead; ++i) {
      op.poll();
      if (i < size()) {
        if (starts) starts(i);
        under_way.push_back(begin_load(i));
      }
      if (i < kReadAhead) continue;
      end_load(op, i - kReadAhead, under_way.front());
      under_way.pop_front();
    }
  }

  WeightFormat format() const { return format_; }
  int64_t size() const { return residency_.size(); }
  const Residency& residency() const { return residency_; }
  int64_t bytes() const { return residency_.bytes(); }
  int64_t resident_bytes() const { return residency_.bytes_at(Home::device); }
  int64_t host_bytes() const { return residency_.bytes_at(Home::host); }
  RingLayout ring() const { return {residency_, !device_.on_host()}; }

 private:
  friend class LayerStream<T>;

  struct Measured {
    T weights;                            // for dry runs: shapes without contents
    std::vector<ExpectedTensor> tensors;  // that they are made from
  };
  struct Held {
    void* memory = nullptr;      // of a resident
    std::optional<T> weights;    // of a resident, once it is loaded
    PackedHost::Packed on_host;  // of a host-offloaded layer
    uint64_t epoch = 0;          // of the source of these two
  };
  // A layer between the begin and the end of its loading. The transfer goes first, and waits for copies into the others.
  struct Loading {
    Buffer on_host;
    std::optional<T> weights;
    std::optional<PackedHost::Claim> claim;
    std::unique_ptr<Transfer> transfer;
  };

  Held& at(int64_t i) { return held_[static_cast<size_t>(i)]; }
  const T& measured(int64_t i) const { return (*measured_)[static_cast<size_t>(i)].weights; }

  // Another number whenever the source makes other bytes of a layer; 0: those of the files.
  uint64_t epoch(int64_t i) const {
    Fnv hash;
    bool any = false;
    for (const ExpectedTensor& tensor : (*measured_)[static_cast<size_t>(i)].tensors)
      if (const uint64_t epoch = source_.epoch(tensor.name)) {
        hash.add(&epoch, sizeof epoch);
        any = true;
      }
    return any ? hash.value() : 0;
  }

  // Assigns addresses of `memory` to a layer's weights, and fills them where there is a transfer.
  T bind(int64_t i, void* memory, Transfer* transfer) const {
    Arena arena(memory, residency_.bytes(i));
    Loader loader(device_, format_, source_, arena, transfer);
    return load_(loader, i);
  }

  Loading begin_load(int64_t i) {
    Loading loading;
    if (residency_.home(i) == Home::device && !at(i).weights) {
      loading.transfer = device_.begin_transfer();
      loading.weights = bind(i, at(i).memory, loading.transfer.get());
    }
    if (residency_.home(i) == Home::host && !at(i).on_host) {
      loading.claim.emplace(host_->claim({device_.packing(), format_, source_.component(), typeid(T), i, epoch(i)}));
      if (loading.claim->packs()) {
        loading.on_host = host_buffer(residency_.bytes(i));
        loading.transfer = device_.begin_transfer(Side::host);
        bind(i, loading.on_host.data(), loading.transfer.get());
      }
    }
    return loading;
  }

  void end_load(const Ops& op, int64_t i, Loading& loading) {
    if (loading.transfer) loading.transfer->wait();
    if (loading.weights || loading.claim) at(i).epoch = epoch(i);
    if (loading.weights) at(i).weights = std::move(loading.weights);
    if (!loading.claim) return;
    if (loading.claim->packs()) {
      at(i).on_host = loading.claim->publish(device_.pinned(std::move(loading.on_host)));
    } else if (at(i).on_host = loading.claim->wait([&] { op.poll(); }); !at(i).on_host) {
      Loading again = begin_load(i);  // who was packing it has failed
      end_load(op, i, again);
    }
  }

  // Begins to bring a streamed layer into its slot of the ring.
  void fill(int64_t i, void* slot, Transfer& transfer) {
    if (const PackedHost::Packed& packed = at(i).on_host) transfer.copy(slot, packed->data(), residency_.bytes(i));
    else bind(i, slot, &transfer);
  }

  Device& device_;
  const WeightFormat format_;
  WeightSource source_;
  const Load load_;
  std::shared_ptr<const std::vector<Measured>> measured_;
  Residency residency_;
  PackedHost* host_ = nullptr;
  std::vector<Held> held_;
};

// A part of a model that is loaded as one layer: its embedders, its ends, a decoder.
template <class T>
class Whole : public Layers<T> {
 public:
  Whole(Device& device, WeightFormat format, const WeightSource& source, std::function<T(Loader&)> load)
      : Layers<T>(device, format, source, 1, [load = std::move(load)](Loader& loader, int64_t) { return load(loader); }) {}
};

}  // namespace fude
