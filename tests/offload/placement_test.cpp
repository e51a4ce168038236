// The choice of a placement, for made-up needs.

#include "offload/placement.h"

#include <gtest/gtest.h>

namespace fude {
namespace {

constexpr int64_t kBlock = 10, kBlocks = 8, kText = 1000, kVae = 50, kMaps = 320, kWork = 30, kRing = 20;

// A request whose parts take these bytes, on a card.
Bytes needed_with(const Placement& placement) {
  Bytes needed{.host = placement.decode.through_host ? kMaps : 0, .device = kWork + placement.blocks * kBlock};
  if (placement.text) needed.device += kText;
  if (placement.vae) needed.device += kVae;
  if (placement.blocks < kBlocks) needed.device += kRing;
  needed.device += placement.decode.through_host ? kMaps / 64 : kMaps / placement.decode.strips;
  return needed;
}

Choice on_card() {
  return {.on_host = false, .blocks = Residency(std::vector<int64_t>(kBlocks, kBlock)), .needed_with = needed_with};
}

std::optional<Placement> choose(int64_t device, int64_t host = 10000) {
  return choose_placement(on_card(), {.host = host, .device = device});
}

TEST(APlacement, KeepsAllWhereThereIsRoom) {
  const std::optional<Placement> all = choose(kText + kVae + kMaps + kWork + kBlocks * kBlock);
  ASSERT_TRUE(all);
  EXPECT_TRUE(all->text);
  EXPECT_TRUE(all->vae);
  EXPECT_EQ(all->blocks, kBlocks);
  EXPECT_EQ(all->decode, DecodePlan{});
}

TEST(APlacement, LeavesOutFirstWhatCostsLeast) {
  constexpr int64_t kAll = kVae + kMaps + kWork + kBlocks * kBlock;
  EXPECT_FALSE(choose(kAll)->text);
  EXPECT_TRUE(choose(kAll)->vae);
  EXPECT_FALSE(choose(kAll - 1)->vae);
  EXPECT_EQ(choose(kAll - 1)->decode.strips, 1);
  EXPECT_EQ(choose(kAll - kVae - 1)->decode.strips, 4);
  const Placement streamed = *choose(kWork + kRing + kMaps / 64 + 4 * kBlock + 1);
  EXPECT_TRUE(streamed.decode.through_host);
  EXPECT_EQ(streamed.blocks, 4);
  EXPECT_GT(streamed.all_blocks, kBlocks * kBlock);
}

TEST(APlacement, StreamsAnEvenNumberOfBlocksToACard) {
  for (int64_t room = kWork + kRing + kMaps / 64; room < kWork + kMaps / 64 + kBlocks * kBlock; ++room)
    EXPECT_EQ((kBlocks - choose(room)->blocks) % 2, 0) << room;
}

TEST(APlacement, NeverTakesMoreThanTheRoom) {
  std::optional<Placement> before;
  for (int64_t room = 0; room < 2000; ++room) {
    const std::optional<Placement> found = choose(room);
    EXPECT_TRUE(found || !before) << room;
    if (!found) continue;
    EXPECT_LE(needed_with(*found).device, room);
    EXPECT_EQ(found->host_bytes, 10000 - needed_with(*found).host);  // the rest is for offloaded weights
    if (before) {
      EXPECT_GE(found->blocks, before->blocks) << room;
    }
    before = found;
  }
}

TEST(APlacement, IsNoneWhereEvenTheLeastDoesNotFit) {
  const Bytes least = needed_with(kLeastMemory);
  EXPECT_TRUE(choose(kWork + kRing + kMaps / 16 + 1, 0));  // without the host's memory
  EXPECT_TRUE(choose(least.device, least.host));
  EXPECT_FALSE(choose(least.device - 1, least.host));
  EXPECT_FALSE(choose(least.device, least.host - 1));
}

}  // namespace
}  // namespace fude
