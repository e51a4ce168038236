// The store of packed layers: one copy of each, whoever asks and however many at once.

#include "offload/packed_host.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <latch>
#include <thread>
#include <vector>

#include "fude/error.h"

namespace fude {
namespace {

PackedHost::Key key(int64_t layer, const std::string& packing = "a card", WeightFormat format = WeightFormat::bf16) {
  return {packing, format, Component::transformer, typeid(int), layer, 0};
}

Buffer filled(int64_t bytes, int value) {
  Buffer memory = host_buffer(bytes);
  std::memset(memory.data(), value, static_cast<size_t>(bytes));
  return memory;
}

void patient() {}

TEST(APackedLayer, IsPackedOnceAndSharedWhileItIsHeld) {
  PackedHost store;
  PackedHost::Packed first;
  {
    PackedHost::Claim claim = store.claim(key(0));
    ASSERT_TRUE(claim.packs());
    first = claim.publish(filled(100, 7));
  }
  PackedHost::Claim other = store.claim(key(0));
  EXPECT_FALSE(other.packs());
  EXPECT_EQ(other.wait(patient), first);
  EXPECT_EQ(store.bytes("a card", WeightFormat::bf16), 100);
  first.reset();
  EXPECT_EQ(store.bytes("a card", WeightFormat::bf16), 0);
  EXPECT_TRUE(store.claim(key(0)).packs());
}

TEST(APackedLayer, IsAnotherForEachPackingFormatAndEpoch) {
  PackedHost store;
  const PackedHost::Packed held = store.claim(key(0)).publish(filled(10, 1));
  EXPECT_TRUE(store.claim(key(1)).packs());
  EXPECT_TRUE(store.claim(key(0, "another")).packs());
  EXPECT_TRUE(store.claim(key(0, "a card", WeightFormat::f32)).packs());
  PackedHost::Key patched = key(0);
  patched.epoch = 1;
  EXPECT_TRUE(store.claim(patched).packs());
  EXPECT_EQ(store.bytes("another", WeightFormat::bf16), 0);
  EXPECT_EQ(store.bytes("a card", WeightFormat::f32), 0);
}

TEST(APackedLayer, IsLeftToTheOthersByWhoeverFails) {
  PackedHost store;
  auto failing = std::make_unique<PackedHost::Claim>(store.claim(key(0)));
  const PackedHost::Claim waiting = store.claim(key(0));
  ASSERT_TRUE(failing->packs());
  ASSERT_FALSE(waiting.packs());
  std::thread ends([&] { failing.reset(); });
  EXPECT_EQ(waiting.wait(patient), nullptr);
  ends.join();
  EXPECT_TRUE(store.claim(key(0)).packs());
}

TEST(APackedLayer, IsNotWaitedForByWhoeverWasCancelled) {
  PackedHost store;
  const PackedHost::Claim packing = store.claim(key(0));
  const PackedHost::Claim waiting = store.claim(key(0));
  EXPECT_THROW(waiting.wait([] { throw Error(Code::cancelled, "enough"); }), Error);
}

TEST(APackedLayer, OutlivesTheStore) {
  auto store = std::make_unique<PackedHost>();
  const PackedHost::Packed held = store->claim(key(0)).publish(filled(3, 9));
  store.reset();
  EXPECT_EQ(held->data()[2], std::byte{9});
}

TEST(ManyThreads, PackEachLayerOnce) {
  constexpr int kThreads = 6, kLayers = 40;
  PackedHost store;
  std::atomic<int> packed = 0;
  std::latch all(kThreads);
  std::vector<std::vector<PackedHost::Packed>> held(kThreads);
  std::vector<std::thread> threads;
  for (std::vector<PackedHost::Packed>& own : held)
    threads.emplace_back([&] {
      all.arrive_and_wait();
      for (int layer = 0; layer < kLayers; ++layer) {
        PackedHost::Claim claim = store.claim(key(layer));
        if (claim.packs()) ++packed;
        own.push_back(claim.packs() ? claim.publish(filled(64, layer)) : claim.wait(patient));
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(packed, kLayers);
  for (const std::vector<PackedHost::Packed>& own : held)
    for (int layer = 0; layer < kLayers; ++layer) {
      EXPECT_EQ(own[static_cast<size_t>(layer)], held[0][static_cast<size_t>(layer)]);
      EXPECT_EQ(own[static_cast<size_t>(layer)]->data()[0], static_cast<std::byte>(layer));
    }
  EXPECT_EQ(store.bytes("a card", WeightFormat::bf16), 64 * kLayers);
}

}  // namespace
}  // namespace fude
