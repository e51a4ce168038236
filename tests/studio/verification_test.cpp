// Comparing a picture and its settings with those of before.
#include "studio/verification.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fude {
namespace {

Image image(int64_t width, uint8_t value) {
  return {.width = width, .height = 16, .rgb = std::vector<uint8_t>(static_cast<size_t>(width * 16 * 3), value)};
}

TEST(Verification, TellsEqualFromNearlyEqualFromOtherPictures) {
  EXPECT_TRUE(comparison_of(image(16, 7), image(16, 7)).bit_equal);
  const Comparison near = comparison_of(image(16, 7), image(16, 8));
  EXPECT_FALSE(near.bit_equal);
  ASSERT_TRUE(near.psnr);
  EXPECT_NEAR(*near.psnr, 48.13, 0.01);
  const Comparison other = comparison_of(image(16, 7), image(32, 7));
  EXPECT_FALSE(other.bit_equal);
  EXPECT_FALSE(other.psnr);
  EXPECT_EQ(other.now, (Size{32, 16}));
}

TEST(Verification, TellsWhatHasChangedSince) {
  const EngineOptions options{.device = "cpu", .dtype = "f32", .threads = 2};
  const Engine engine({.model = FUDE_SOURCE_DIR "/tests/fixtures/plain"}, options);
  HistoryEntry entry{.threads = 0};
  entry.provenance = {.model_hash = engine.model_hash(), .device = "cpu", .dtype = "f32"};
  entry.stats.version = version();
  entry.stats.libraries = "oneDNN 2.6.3, libpng 1.6.39";
  const std::vector<Change> changes = changes_since(entry, engine, options, "oneDNN 3.0, libpng 1.6.39");
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0].what, "threads");
  EXPECT_EQ(changes[0].then, "all");
  EXPECT_EQ(changes[1].what, "oneDNN");
  EXPECT_EQ(changes[1].now, "3.0");
}

}  // namespace
}  // namespace fude
