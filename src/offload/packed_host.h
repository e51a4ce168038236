// PackedHost: layers in host memory, packed as a device wants them. One copy serves all workers of a model that pack alike.
//
// Thread-safe. Whoever asks for a layer first packs it; others meanwhile wait for that copy. A copy lives as long as somebody
// holds it, and may outlive the device that packed it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <typeindex>
#include <utility>

#include "core/arena.h"
#include "core/weight_format.h"
#include "weights/component.h"

namespace fude {

class PackedHost {
 public:
  struct Key {
    std::string packing;  // Device::packing
    WeightFormat format;
    Component component;
    std::type_index part;  // the struct that its layers are
    int64_t layer;
    uint64_t epoch;  // of the source it is made from
    auto operator<=>(const Key&) const = default;
  };
  using Packed = std::shared_ptr<const Buffer>;

  // What somebody who needs a layer has to do: pack it, or wait for it.
  class Claim {
   public:
    Claim(Claim&& other) noexcept : store_(std::exchange(other.store_, nullptr)), key_(other.key_), packs_(other.packs_) {}
    Claim& operator=(Claim&&) = delete;
    ~Claim();  // who was to pack it and has not leaves it to the others

    bool packs() const { return packs_; }
    Packed publish(Buffer packed);  // by who packs
    // By the others. `poll` is called now and then, and may throw. Null: it was given up, and may be claimed again.
    Packed wait(const std::function<void()>& poll) const;

   private:
    friend class PackedHost;
    Claim(PackedHost& store, const Key& key, bool packs) : store_(&store), key_(key), packs_(packs) {}
    void end(const Packed& packed);

    PackedHost* store_;
    Key key_;
    bool packs_;
  };

  // The store outlives the claim, not what is packed.
  Claim claim(const Key& key);
  // Of all that is held, packed so.
  int64_t bytes(const std::string& packing, WeightFormat format) const;

 private:
  struct Entry {
    bool being_packed = false;
    std::weak_ptr<const Buffer> packed;
  };

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Key, Entry> entries_;
};

}  // namespace fude
