// The texts that programs put into EXIF, JPEG and WebP: byte orders, character sets, damage.
#include <gtest/gtest.h>

#include "engine/containers/texts.h"
#include "fude/error.h"
#include "made_texts.h"

namespace fude {
namespace {

std::string text_in(const FileBytes& file, const std::string& keyword) {
  return std::string(text_under(read_picture_texts(file), keyword));
}

std::string refusal_of(const FileBytes& file, const std::string& keyword = "UserComment") {
  try {
    text_in(file, keyword);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::bad_request);
    return error.what();
  }
  return {};
}

TEST(Containers, ReadExifInAllOfThem) {
  for (const bool big : {true, false}) {
    const std::string exif = made_exif(
        {{0x010e, "a description"}, {0x010f, std::string("made\0", 5)}, user_comment_of(u"雪の中の猫 café 🐈, Steps: 3", big)},
        big);
    FileBytes png = made_png({});
    const std::string chunk = made_chunk("eXIf", exif);
    png.insert(png.end() - 12, chunk.begin(), chunk.end());
    for (const FileBytes& file :
         {made_jpeg_with_exif(exif), made_webp(exif), made_webp(std::string("Exif\0\0", 6) + exif), png}) {
      EXPECT_EQ(text_in(file, "UserComment"), "雪の中の猫 café 🐈, Steps: 3");
      EXPECT_EQ(text_in(file, "ImageDescription"), "a description");
      EXPECT_EQ(text_in(file, "Make"), "made");
      EXPECT_EQ(text_in(file, "Model"), "");
    }
  }
}

TEST(Containers, TakeTheByteOrderThatMakesSense) {
  for (const bool file_big : {true, false}) {
    for (const bool text_big : {true, false}) {
      const std::string exif = made_exif({user_comment_of(u"a cat\nSteps: 3", text_big)}, file_big);
      EXPECT_EQ(text_in(made_webp(exif), "UserComment"), "a cat\nSteps: 3");
      const std::string marked = made_exif({user_comment_of(u"\ufeff雪", text_big)}, file_big);
      EXPECT_EQ(text_in(made_webp(marked), "UserComment"), "雪");
    }
    // Only kanji: nothing tells but the file.
    EXPECT_EQ(text_in(made_webp(made_exif({user_comment_of(u"雪猫", file_big)}, file_big)), "UserComment"), "雪猫");
  }
  EXPECT_EQ(text_in(made_webp(made_exif({user_comment_of(u"a\xd800 b\xdc00", true)})), "UserComment"),
            "a\xef\xbf\xbd b\xef\xbf\xbd");
}

TEST(Containers, ReadCommentsInTheirCharacterCode) {
  const auto comment = [](const std::string& code_and_text) {
    return made_webp(made_exif({{0x9286, code_and_text, 7, true}}));
  };
  EXPECT_EQ(text_in(comment(std::string("ASCII\0\0\0a cat", 13)), "UserComment"), "a cat");
  EXPECT_EQ(text_in(comment(std::string("ASCII\0\0\0", 8) + "雪"), "UserComment"), "雪");
  EXPECT_EQ(text_in(comment(std::string(8, '\0') + "caf\xe9"), "UserComment"), "café");
  EXPECT_EQ(text_in(comment(std::string("UNICODE\0", 8) + "a cat in 雪"), "UserComment"), "a cat in 雪");
  EXPECT_EQ(text_in(comment("{\"a\": 1}"), "UserComment"), "{\"a\": 1}");
  EXPECT_NE(refusal_of(comment(std::string("JIS\0\0\0\0\0", 8) + "\x1b$B@c")).find("JIS"), std::string::npos);
}

TEST(Containers, ReadCommentsOfJpegs) {
  EXPECT_EQ(text_in(made_jpeg(made_segment(0xfe, "a cat")), "Comment"), "a cat");
  EXPECT_EQ(text_in(made_jpeg(made_segment(0xfe, std::string("parameters\0a cat\0", 17))), "parameters"), "a cat");
  EXPECT_EQ(text_in(made_jpeg("\xff\xff" + made_segment(0xfe, "雪")), "Comment"), "雪");
}

TEST(Containers, RefuseWhatIsCutOff) {
  const FileBytes jpeg = made_jpeg_with_exif(made_exif({user_comment_of(u"a cat", true)}));
  for (size_t size = 3; size + 9 < jpeg.size(); ++size)
    EXPECT_NE(refusal_of({jpeg.begin(), jpeg.begin() + static_cast<std::ptrdiff_t>(size)}), "") << size;
  const FileBytes webp = made_webp(made_exif({user_comment_of(u"a cat", true)}));
  EXPECT_NE(refusal_of({webp.begin(), webp.begin() + 60}), "");
  for (const std::string text : {"", "GIF89a", "RIFF\4\0\0\0AVI ", "not a picture"}) EXPECT_NE(refusal_of(bytes_of(text)), "");
}

TEST(Containers, SurviveExifThatLies) {
  const std::string sound = made_exif({{0x010e, "a description"}, user_comment_of(u"a cat", true)});
  for (size_t at = 0; at < sound.size(); ++at) {
    for (const char value : {'\0', '\1', '\x7f', '\xff'}) {
      std::string exif = sound;
      exif[at] = value;
      read_picture_texts(made_webp(exif));
      read_picture_texts(made_webp(exif.substr(0, at)));
    }
  }
  // Directories that name themselves, and entries that all name the same megabyte.
  std::string loop = made_exif({user_comment_of(u"a cat", true)});
  loop.replace(loop.find(std::string("\x87\x69", 2)) + 8, 4, number_of(8, 4, true));
  EXPECT_EQ(text_in(made_webp(loop), "UserComment"), "");
  std::string entries;
  for (int i = 0; i < 60000; ++i)
    entries += number_of(0x010e, 2, true) + number_of(2, 2, true) + number_of(1 << 20, 4, true) + number_of(8, 4, true);
  const std::string heavy =
      "MM" + number_of(42, 2, true) + number_of(8, 4, true) + number_of(60000, 2, true) + entries + std::string(1 << 20, 'x');
  size_t bytes = 0;
  for (const PictureText& text : read_picture_texts(made_webp(heavy))) bytes += text.text.size();
  EXPECT_LE(bytes, size_t{64} << 20);
}

}  // namespace
}  // namespace fude
