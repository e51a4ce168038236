// Claims on packed layers: who packs, who waits.
#include "offload/packed_host.h"

#include <chrono>

namespace fude {

PackedHost::Claim PackedHost::claim(const Key& key) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[key];
  const bool packs = !entry.being_packed && entry.packed.expired();
  if (packs) entry.being_packed = true;
  return {*this, key, packs};
}

int64_t PackedHost::bytes(const std::string& packing, WeightFormat format) const {
  const std::lock_guard lock(mutex_);
  int64_t bytes = 0;
  for (const auto& [key, entry] : entries_)
    if (const Packed packed = entry.packed.lock(); packed && key.packing == packing && key.format == format)
      bytes += packed->size();
  return bytes;
}

PackedHost::Claim::~Claim() {
  if (store_ && packs_) end(nullptr);
}

PackedHost::Packed PackedHost::Claim::publish(Buffer packed) {
  const auto shared = std::make_shared<const Buffer>(std::move(packed));
  end(shared);
  return shared;
}

void PackedHost::Claim::end(const Packed& packed) {
  {
    const std::lock_guard lock(store_->mutex_);
    store_->entries_[key_] = {.being_packed = false, .packed = packed};
  }
  packs_ = false;
  store_->changed_.notify_all();
}

PackedHost::Packed PackedHost::Claim::wait(const std::function<void()>& poll) const {
  constexpr std::chrono::milliseconds kPollEvery(20);
  std::unique_lock lock(store_->mutex_);
  const Entry& entry = store_->entries_[key_];
  while (entry.being_packed) {
    store_->changed_.wait_for(lock, kPollEvery);
    lock.unlock();
    poll();
    lock.lock();
  }
  return entry.packed.lock();
}

}  // namespace fude
