// Files mapped into memory: their bytes, and files that are cut short, rewritten or replaced meanwhile.
#include "weights/mapped_file.h"

#include "made_files.h"

namespace fude {
namespace {

std::string text_of_bytes(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(MappedFile, HoldsTheBytesAndReadsThemAgainAfterDropping) {
  const Folder folder;
  std::string text(5 << 20, 'a');
  text[4'000'000] = 'b';
  write_text(folder / "file", text);
  const MappedFile file(folder / "file");
  EXPECT_EQ(file.size(), text.size());
  EXPECT_EQ(text_of_bytes(file.bytes()), text);
  file.drop(0, file.size());
  file.drop(3'999'999, 3);
  file.drop(file.size(), 10);  // outside: nothing to do
  file.drop(0, SIZE_MAX);
  EXPECT_EQ(text_of_bytes(file.bytes()), text);
}

TEST(MappedFile, AnEmptyFileHasNoBytes) {
  const Folder folder;
  write_text(folder / "file", "");
  const MappedFile file(folder / "file");
  EXPECT_EQ(file.size(), 0u);
  file.drop(0, 1);
}

TEST(MappedFile, CopiesBytesOut) {
  const Folder folder;
  write_text(folder / "file", "0123456789");
  const MappedFile file(folder / "file");
  std::vector<std::byte> bytes(4);
  file.read(3, bytes);
  EXPECT_EQ(text_of_bytes(bytes), "3456");
  file.read(10, {});
  EXPECT_TRUE(has(error_of(Code::io, [&] { file.read(7, bytes); }), "cannot read byte 10"));
  if (kIsWindows) return;  // which lets nobody cut a file that is in use
  std::filesystem::resize_file(folder / "file", 5);
  EXPECT_TRUE(has(error_of(Code::io, [&] { file.read(3, bytes); }), "it had 10 bytes, now 5"));
}

TEST(MappedFile, SaysWhenTheFileIsCutShort) {
  if (kIsWindows) GTEST_SKIP() << "Windows lets nobody change a file that is in use";
  const Folder folder;
  write_text(folder / "file", "0123456789");
  const MappedFile file(folder / "file");
  file.check_unchanged();
  std::filesystem::resize_file(folder / "file", 4);
  const std::string message = error_of(Code::io, [&] { file.check_unchanged(); });
  EXPECT_TRUE(has(message, "it had 10 bytes, now 4"));
}

TEST(MappedFile, SaysWhenTheFileIsWrittenAgain) {
  if (kIsWindows) GTEST_SKIP() << "Windows lets nobody change a file that is in use";
  const Folder folder;
  write_text(folder / "file", "0123456789");
  const MappedFile file(folder / "file");
  std::filesystem::last_write_time(folder / "file",
                                   std::filesystem::last_write_time(folder / "file") + std::chrono::seconds(1));
  EXPECT_TRUE(has(error_of(Code::io, [&] { file.check_unchanged(); }), "was changed while it was in use"));
}

TEST(MappedFile, TakesANewFileOfTheSameNameForAnotherFile) {
  if (kIsWindows) GTEST_SKIP() << "Windows lets nobody change a file that is in use";
  const Folder folder;
  write_text(folder / "file", "old");
  const MappedFile file(folder / "file");
  write_text(folder / "new", "much newer");
  std::filesystem::rename(folder / "new", folder / "file");
  file.check_unchanged();
  EXPECT_EQ(text_of_bytes(file.bytes()), "old");
}

TEST(MappedFile, RefusesFolders) {
  const Folder folder;
  EXPECT_TRUE(has(error_of(Code::bad_checkpoint, [&] { MappedFile file(folder.path()); }), "cannot read"));
}

}  // namespace
}  // namespace fude
