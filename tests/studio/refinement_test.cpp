// The requests that draw chosen pictures again.
#include "studio/refinement.h"

#include <gtest/gtest.h>

#include "fude/error.h"

namespace fude {
namespace {

Chosen chosen() {
  Chosen chosen{.name = "candidate 7"};
  chosen.provenance.request = {.prompt = "a cat", .width = 64, .height = 48, .steps = 12, .seed = 5, .batch = 4, .place = 2};
  chosen.files = {.model = "/drawn/with", .vae = "/drawn/vae"};
  return chosen;
}

TEST(Refinement, LeavesTheSizeAndAsksForNoDraft) {
  const Request request = refined(chosen(), {.asked = {.steps = 50}});
  EXPECT_EQ(request.steps, 50);
  EXPECT_EQ(request.seed, 5u);
  EXPECT_FALSE(request.draft);
  EXPECT_EQ(request.batch, 1);
  EXPECT_EQ(request.place, 0);
}

TEST(Refinement, EnlargesFromThePictureAsItWasDrawn) {
  Refinement larger{.scale = 1.5};
  larger.asked.draft->strength = 0.5;
  const Request request = refined(chosen(), larger);
  EXPECT_EQ(request.width, 96);
  EXPECT_EQ(request.height, 80) << "the nearest multiple of 16 to 72";
  ASSERT_TRUE(request.draft);
  EXPECT_EQ(request.draft->width, 64);
  EXPECT_EQ(request.draft->steps, 12);
  EXPECT_EQ(request.draft->batch, 4);
  EXPECT_EQ(request.draft->place, 2);
  EXPECT_EQ(request.draft->strength, 0.5);
}

TEST(Refinement, TellsWhatCannotBe) {
  Chosen picture = chosen();
  EXPECT_EQ(obstacle_to(picture, {.scale = 2, .variations = 3}), Obstacle::none);
  picture.provenance.request.draft = Draft{.width = 32, .height = 32};
  picture.provenance.request.variation = Variation{.seed = 6, .amount = 0.1};
  EXPECT_EQ(obstacle_to(picture, {.scale = 2}), Obstacle::enlarged_already);
  EXPECT_EQ(obstacle_to(picture, {.scale = 1}), Obstacle::none) << "it stays as large as it is";
  EXPECT_EQ(obstacle_to(picture, {.variations = 3}), Obstacle::varied_already);
  picture.provenance.request.width = 0;
  EXPECT_EQ(obstacle_to(picture, {}), Obstacle::no_size);
}

TEST(Refinement, VariesTowardsTheNextSeed) {
  const Request request = refined(chosen(), {.variations = 3});
  EXPECT_EQ(request.count, 3);
  ASSERT_TRUE(request.variation);
  EXPECT_EQ(request.variation->seed, 6u);
  EXPECT_EQ(request.variation->amount, 0.15);
}

TEST(Refinement, TakesTheWeightsItWasDrawnWithUnlessOthersAreNamed) {
  EXPECT_EQ(files_for(chosen(), {}).model, "/drawn/with");
  EXPECT_EQ(files_for(chosen(), {}).vae, "/drawn/vae");
  EXPECT_EQ(files_for(chosen(), {.vae = "/given"}).vae, "/given");
  EXPECT_EQ(files_for(chosen(), {.model = "/given"}).vae, "") << "of another model";
}

}  // namespace
}  // namespace fude
