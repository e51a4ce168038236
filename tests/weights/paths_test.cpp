// Questions to a file system: whatever it answers, nothing throws and nothing hangs.
#include "weights/paths.h"

#include <gtest/gtest.h>

#include <fstream>

#include "temporary.h"

#ifndef _WIN32
#include <sys/stat.h>
#endif

namespace fude {
namespace {

namespace fs = std::filesystem;

class Paths : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_ / "folder");
    std::ofstream(folder_ / "file") << "12345";
  }
  void TearDown() override { fs::remove_all(folder_); }

  const fs::path folder_ = temporary("paths");
};

TEST_F(Paths, AreFilesFoldersOrNothing) {
  EXPECT_EQ(kind_of(folder_ / "file"), PathKind::file);
  EXPECT_EQ(kind_of(folder_ / "folder"), PathKind::folder);
  EXPECT_EQ(kind_of(folder_ / "nothing"), PathKind::nothing);
  EXPECT_EQ(kind_of(folder_ / "file" / "below"), PathKind::nothing);
  EXPECT_EQ(kind_of({}), PathKind::nothing);
  EXPECT_EQ(size_of_file(folder_ / "file"), 5u);
  EXPECT_FALSE(size_of_file(folder_ / "folder"));
  EXPECT_FALSE(size_of_file(folder_ / "nothing"));
  EXPECT_EQ(why_no_file(folder_ / "file"), "");
  EXPECT_NE(why_no_file(folder_ / "nothing"), "");
  EXPECT_EQ(why_not_replaced(folder_ / "nothing"), "");
  EXPECT_NE(why_not_replaced(folder_ / "folder"), "");
}

TEST_F(Paths, ThatCannotBeLookedAtSayWhy) {
  if (kIsWindows) GTEST_SKIP() << "rings of links and names that are too long are POSIX's";
  fs::create_symlink("loop", folder_ / "loop");
  for (const fs::path& path : {folder_ / "loop", folder_ / "loop" / "below", folder_ / std::string(300, 'a'),
                               folder_ / (std::string(200, 'a') + '/' + std::string(5000, 'b'))}) {
    std::error_code reason;
    EXPECT_EQ(kind_of(path, reason), PathKind::unknown) << path;
    EXPECT_TRUE(reason);
    EXPECT_EQ(why_no_file(path), reason.message());
    EXPECT_FALSE(is_there(path));
    EXPECT_FALSE(size_of_file(path));
    EXPECT_FALSE(make_folders(path, reason));
    EXPECT_TRUE(reason);
    EXPECT_EQ(entries_of(path, reason).size(), 0u);
    EXPECT_TRUE(reason);
    EXPECT_EQ(absolute_of(path), path);
  }
}

#ifndef _WIN32
TEST_F(Paths, ThatAreNoRegularFilesAreNotOpened) {
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(kind_of(folder_ / "pipe"), PathKind::other);
  EXPECT_NE(why_no_file(folder_ / "pipe"), "");
  EXPECT_NE(why_not_replaced("/dev/null"), "");
}

TEST_F(Paths, HaveNoAbsoluteFormWhereTheCurrentFolderIsGone) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_ / "folder");
  fs::remove(folder_ / "folder");
  EXPECT_EQ(absolute_of("a"), "a");
  fs::current_path(before);
}
#endif

TEST_F(Paths, AreListed) {
  std::error_code reason;
  EXPECT_EQ(entries_of(folder_, reason).size(), 2u);
  EXPECT_FALSE(reason);
  EXPECT_TRUE(entries_of(folder_ / "nothing", reason).empty());
  EXPECT_TRUE(reason);
}

TEST_F(Paths, OfFoldersAreMade) {
  std::error_code reason;
  EXPECT_TRUE(make_folders(folder_ / "a" / "b", reason));
  EXPECT_TRUE(is_folder(folder_ / "a" / "b"));
  EXPECT_TRUE(make_folders(folder_ / "a" / "b", reason));
  EXPECT_FALSE(make_folders(folder_ / "file" / "b", reason));
  EXPECT_TRUE(reason);
}

TEST_F(Paths, Answer) { EXPECT_TRUE(answers({folder_, folder_ / "nothing"}, std::chrono::minutes(1))); }

}  // namespace
}  // namespace fude
