// What is left to draw, and what it costs.
#include "studio/worklist.h"

#include <gtest/gtest.h>

namespace fude {
namespace {

SessionSpec gacha(int64_t count) {
  SessionSpec spec;
  spec.kind = kGacha;
  spec.engine.dtype = "f32";
  spec.grid.request = {.width = 16, .height = 16, .steps = 2};
  spec.grid.prompts = {"a cat"};
  spec.count = count;
  return spec;
}

TEST(Worklist, GivesWhatLiesTogether) {
  Worklist work(gacha(6));
  EXPECT_EQ(work.undone(1, "f32", 4).size(), 4u);
  EXPECT_TRUE(work.undone(1, "bf16", 4).empty());
  work.set_done(work.tasks()[2]);
  EXPECT_EQ(work.undone(1, "f32", 4).size(), 2u);
  EXPECT_EQ(work.undone(3, "f32", 9).front().number, 4);
  EXPECT_EQ(work.undone(3, "f32", 9).size(), 3u);
}

TEST(Worklist, KeepsWhatIsDoneWhenTheCountChanges) {
  Worklist work(gacha(3));
  EXPECT_EQ(work.last_done(), 0);
  const double each = effort_of(work.tasks()[0].request);
  EXPECT_EQ(work.effort_left(), 3 * each);
  work.set_done(work.tasks()[1]);
  EXPECT_EQ(work.last_done(), 2);
  work.recount(gacha(5));
  EXPECT_EQ(work.count(), 5);
  EXPECT_TRUE(work.is_done(work.tasks()[1]));
  EXPECT_EQ(work.effort_left(), 4 * each);
  work.recount(gacha(2));
  EXPECT_EQ(work.effort_left(), each);
}

}  // namespace
}  // namespace fude
