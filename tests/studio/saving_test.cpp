// A picture and what is kept of it: its place, its file, the history.
#include "studio/saving.h"

#include <gtest/gtest.h>

#include <fstream>

#include "engine/single_picture.h"
#include "engine/stored_picture.h"
#include "fude/error.h"
#include "temporary.h"

namespace fs = std::filesystem;

namespace fude {
namespace {

class Saving : public testing::Test {
 protected:
  void TearDown() override { fs::remove_all(folder_); }

  const fs::path folder_ = temporary("saving");
};

TEST_F(Saving, NumbersAreUsedOnce) {
  const PicturePlace place = PicturePlace::in_folder(folder_);
  const std::vector<uint8_t> bytes = {1, 2, 3};
  EXPECT_EQ(place.save(bytes, 42).filename(), "00001-42.png");
  EXPECT_EQ(place.save(bytes, 42).filename(), "00002-42.png");
  std::ofstream(folder_ / "00007-1.jpg") << "somebody's";
  EXPECT_EQ(place.save(bytes, 43).filename(), "00008-43.png");
}

TEST_F(Saving, APlaceThatCannotBeWrittenIsRefusedAtOnce) {
  fs::create_directories(folder_);
  std::ofstream(folder_ / "file") << "x";
  EXPECT_THROW(PicturePlace::in_folder(folder_ / "file"), Error);
  EXPECT_THROW(PicturePlace::as_file(folder_), Error);
}

TEST_F(Saving, APictureRemembersItsOwnRequest) {
  const ModelFiles files{.model = FUDE_SOURCE_DIR "/tests/fixtures/plain"};
  const EngineOptions options{.device = "cpu", .dtype = "f32", .threads = 1};
  Reporter silent;
  Bookkeeping books(silent, {.file = folder_ / "history.sqlite3", .why_none = {}}, options);
  Engine engine(files, options);
  PictureSaver saver(files, options, books, {"generate", "libraries of a test", {}});
  const PicturePlace place = PicturePlace::in_folder(folder_);
  Request request = engine.complete({.prompt = "a cat", .width = 16, .height = 16, .steps = 1, .seed = 7, .count = 2});
  std::vector<SavedPicture> saved;
  Callbacks callbacks;
  callbacks.finished = [&](const Image& image) { saved.push_back(saver.save(saver.encode(image), place)); };
  engine.generate(request, callbacks);
  ASSERT_EQ(saved.size(), 2u);
  EXPECT_EQ(saved[1].seed, 8u);
  EXPECT_EQ(saved[1].id, 2);
  const StoredPicture stored = read_picture(saved[1].path);
  EXPECT_TRUE(stored.exact);
  EXPECT_TRUE(stored.has_seed());
  EXPECT_EQ(stored.provenance.request.seed, 8u);
  EXPECT_EQ(stored.provenance.request.count, 1);
  EXPECT_EQ(History(folder_ / "history.sqlite3").find(2)->stats.libraries, "libraries of a test");
}

TEST_F(Saving, AHistoryThatFailsCostsNoPicture) {
  class Listening : public Reporter {
   public:
    void not_kept(const NotKept& lost) override { heard.push_back(lost); }
    std::vector<NotKept> heard;
  } reporter;
  fs::create_directories(folder_);
  std::ofstream(folder_ / "history.sqlite3") << std::string(4096, 'x');
  {
    Bookkeeping books(reporter, {.file = folder_ / "history.sqlite3", .why_none = {}}, {});
    bool used = false;
    books.with_history([&](History&) { used = true; });
    EXPECT_FALSE(used);
    books.not_kept("told already that something is amiss");
  }
  ASSERT_EQ(reporter.heard.size(), 1u);
  EXPECT_EQ(reporter.heard[0].what, std::vector{Kept::history});
  EXPECT_FALSE(reporter.heard[0].reason.what.empty());
}

TEST(SinglePicture, IsSoManySeedsFurther) {
  Request request{.seed = 7, .count = 4};
  EXPECT_EQ(single_picture(request, 3).seed, 10u);
  EXPECT_EQ(single_picture(request, 3).count, 1);
  request.variation = Variation{.seed = 100, .amount = 0.1};
  EXPECT_EQ(single_picture(request, 3).seed, 7u);
  EXPECT_EQ(single_picture(request, 3).variation->seed, 103u);
}

}  // namespace
}  // namespace fude
