// Where layers lie, and the slots of those that are streamed.

#include "offload/ring.h"

#include <gtest/gtest.h>

#include <random>

namespace fude {
namespace {

TEST(Residents, AreSpreadEvenly) {
  for (int64_t count = 1; count < 30; ++count)
    for (int64_t resident = 0; resident <= count; ++resident) {
      Residency residency(std::vector<int64_t>(static_cast<size_t>(count), 3));
      residency.keep(resident);
      EXPECT_EQ(residency.resident(), resident);
      EXPECT_EQ(residency.bytes_at(Home::device), 3 * resident);
      int64_t before = 0;
      for (int64_t i = 0; i < count; ++i) {
        before += residency.home(i) == Home::device;
        EXPECT_EQ(before, (i + 1) * resident / count);
      }
    }
}

TEST(HostOffloadedLayers, AreAsManyAsFit) {
  Residency residency({5, 7, 4, 3});
  residency.keep(0, 9);
  EXPECT_EQ(residency.home(0), Home::host);
  EXPECT_EQ(residency.home(1), Home::file);
  EXPECT_EQ(residency.home(2), Home::host);
  EXPECT_EQ(residency.home(3), Home::file);
  EXPECT_EQ(residency.bytes_at(Home::host) + residency.bytes_at(Home::file), residency.bytes());
}

bool overlap(const RingLayout::Slot& a, const RingLayout::Slot& b) { return a.begin < b.end && b.begin < a.end; }

TEST(ARing, HoldsTwoOfTheLargestAndOnTheHostOne) {
  Residency residency({5, 7, 4, 3});
  EXPECT_EQ(RingLayout(residency, true).bytes, 14);
  EXPECT_EQ(RingLayout(residency, false).bytes, 7);
  residency.keep(3);
  EXPECT_EQ(RingLayout(residency, true).bytes, 5);  // the only one: nothing is copied beside it
  residency.keep(4);
  EXPECT_EQ(RingLayout(residency, true).bytes, 0);
  EXPECT_TRUE(RingLayout(residency, true).slots.empty());
}

TEST(ARing, LetsALayerComeWhenAllThatOverlapItWereUsed) {
  std::mt19937 random(5);
  for (int made = 0; made < 300; ++made) {
    std::vector<int64_t> bytes(1 + random() % 9);
    for (int64_t& each : bytes) each = 1 + static_cast<int64_t>(random() % 9);
    Residency residency(bytes);
    residency.keep(static_cast<int64_t>(random() % bytes.size()));
    const RingLayout layout(residency, made % 2 == 0);
    const auto n = std::ssize(layout.slots);
    const auto slot = [&](int64_t use) { return layout.slots[static_cast<size_t>(use % n)]; };
    for (int64_t use = 0; use < n; ++use) {
      const RingLayout::Slot own = slot(use);
      EXPECT_EQ(own.end - own.begin, residency.bytes(own.layer));
      EXPECT_LE(own.end, layout.bytes);
      EXPECT_TRUE(overlap(own, slot(use + n - own.reuse_distance)));
      for (int64_t between = 1; between < own.reuse_distance; ++between)
        EXPECT_FALSE(overlap(own, slot(use + n - between))) << made;
    }
  }
}

TEST(ARing, PrefetchesEqualLayersOneAhead) {
  const RingLayout layout(Residency(std::vector<int64_t>(6, 4)), true);
  for (const RingLayout::Slot& slot : layout.slots) EXPECT_EQ(slot.reuse_distance, 2);
}

}  // namespace
}  // namespace fude
