// Reading and writing PNG files: pixels, text chunks, damage, limits on size, and files that appear whole or not at all.
#include "engine/png.h"

#include <gtest/gtest.h>
#include <png.h>
#include <zlib.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "engine/file.h"
#include "fude/error.h"
#include "temporary.h"

namespace fude {
namespace {

Image gradient(int64_t width, int64_t height) {
  Image image;
  image.width = width;
  image.height = height;
  for (int64_t i = 0; i < width * height * 3; ++i) image.rgb.push_back(static_cast<uint8_t>(i * 7));
  return image;
}

// The pixels as libpng reads them.
std::vector<uint8_t> pixels_of(const std::vector<uint8_t>& png) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_memory(&image, png.data(), png.size())) return {};
  image.format = PNG_FORMAT_RGB;
  std::vector<uint8_t> pixels(PNG_IMAGE_SIZE(image));
  return png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr) ? pixels : std::vector<uint8_t>();
}

void append_u32(std::vector<uint8_t>& out, uint32_t number) {
  for (const int shift : {24, 16, 8, 0}) out.push_back(static_cast<uint8_t>(number >> shift));
}

std::vector<uint8_t> chunk(const std::string& type, const std::string& data) {
  std::vector<uint8_t> out;
  append_u32(out, static_cast<uint32_t>(data.size()));
  const std::string body = type + data;
  out.insert(out.end(), body.begin(), body.end());
  append_u32(out, static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()))));
  return out;
}

std::vector<uint8_t> png_of(const std::vector<std::vector<uint8_t>>& chunks) {
  std::vector<uint8_t> out = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  for (const auto& one : chunks) out.insert(out.end(), one.begin(), one.end());
  const auto end = chunk("IEND", "");
  out.insert(out.end(), end.begin(), end.end());
  return out;
}

std::string deflated(const std::string& text) {
  const auto length = static_cast<uLong>(text.size());
  uLongf size = compressBound(length);
  std::string out(size, '\0');
  compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(text.data()), length);
  out.resize(size);
  return out;
}

// Why the file, or the text under a keyword, is refused.
std::string refusal_of(const std::vector<uint8_t>& file, const std::string& keyword = "a") {
  try {
    text_under(read_png_text(file), keyword);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::bad_request);
    return error.what();
  }
  return {};
}

std::string type_of_chunk(const std::vector<uint8_t>& png, const std::string& keyword) {
  const std::string all(png.begin(), png.end());
  const size_t at = all.find(keyword + '\0');
  return at == std::string::npos ? "" : all.substr(at - 4, 4);
}

TEST(Png, KeepsPixelsAndText) {
  const Image image = gradient(37, 5);
  const std::vector<PngText> texts = {
      {"parameters", "a cat\nSteps: 4"}, {"latin", "caf\xc3\xa9"}, {"fude", "{\"prompt\":\"温泉のカピバラ\"}"}};
  const std::vector<uint8_t> png = encode_png(image, texts);
  EXPECT_EQ(pixels_of(png), image.rgb);
  EXPECT_EQ(read_png_text(png), texts);
}

TEST(Png, UsesPlainTextWhereLatin1Suffices) {
  const std::vector<PngText> texts = {{"plain", "caf\xc3\xa9 \xc3\xbf"}, {"wide", "Ā"}, {"broken", "\xff"}};
  const std::vector<uint8_t> png = encode_png(gradient(1, 1), texts);
  EXPECT_EQ(type_of_chunk(png, "plain"), "tEXt");
  EXPECT_EQ(type_of_chunk(png, "wide"), "iTXt");
  EXPECT_EQ(type_of_chunk(png, "broken"), "iTXt");
}

TEST(Png, ReadsCompressedText) {
  const std::string latin1 = "caf\xe9";
  const std::string wide = "温泉";
  const auto file =
      png_of({chunk("IHDR", std::string(13, '\1')), chunk("zTXt", std::string("a\0\0", 3) + deflated(latin1)),
              chunk("iTXt", std::string("b\0\1\0ja\0\xe3\x81\x82\0", 11) + deflated(wide)), chunk("IDAT", "never looked at")});
  const std::vector<PngText> texts = read_png_text(file);
  ASSERT_EQ(texts.size(), 2u);
  EXPECT_EQ(texts[0], (PngText{"a", "caf\xc3\xa9", {}}));
  EXPECT_EQ(texts[1], (PngText{"b", wide, {}}));
  EXPECT_EQ(text_under(texts, "b"), wide);
  EXPECT_EQ(text_under(texts, "c"), "");
}

TEST(Png, RefusesBombs) {
  const std::string bomb = deflated(std::string((size_t{1} << 20) + 1, 'x'));
  ASSERT_LT(bomb.size(), 2000u);
  EXPECT_NE(refusal_of(png_of({chunk("zTXt", std::string("a\0\0", 3) + bomb)})).find("1 MiB"), std::string::npos);
  const std::string most = deflated(std::string(size_t{1} << 20, 'x'));
  const std::vector<uint8_t> one = chunk("zTXt", std::string("a\0\0", 3) + most);
  EXPECT_EQ(refusal_of(png_of({one})), "");
  std::vector<std::vector<uint8_t>> many(17, chunk("zTXt", std::string("b\0\0", 3) + most));
  many.push_back(one);
  EXPECT_NE(refusal_of(png_of(many)).find("16 MiB"), std::string::npos);
}

TEST(Png, SkipsWhatIsNotAskedFor) {
  const std::vector<uint8_t> ours = chunk("tEXt", std::string("a\0a cat", 7));
  std::vector<uint8_t> damaged = chunk("tEXt", std::string("b\0a dog", 7));
  damaged.back() ^= 1;
  const std::string bomb = deflated(std::string((size_t{2} << 20), 'x'));
  for (const std::vector<uint8_t>& other :
       {chunk("tEXt", std::string("workflow\0", 9) + std::string(size_t{2} << 20, 'x')), damaged, chunk("tEXt", "no zero byte"),
        chunk("tEXt", ""), chunk("zTXt", std::string("b\0\0", 3) + bomb), chunk("zTXt", std::string("b\0\0garbage", 10)),
        chunk("iTXt", std::string("b\0", 2)), chunk("tEXt", std::string(200, 'k')), chunk("teST", "anything"),
        chunk("vpAg", std::string(size_t{2} << 20, 'x')), chunk("eXIf", "MM")}) {
    for (const auto& file : {png_of({other, ours}), png_of({ours, other})}) {
      EXPECT_EQ(refusal_of(file), "");
      EXPECT_EQ(text_under(read_png_text(file), "a"), "a cat");
    }
  }
}

TEST(Png, TakesUtf8WhereLatin1IsAskedFor) {
  const auto text_of = [](const std::string& type, const std::string& keyword, const std::string& text) {
    const std::string data = type == "zTXt" ? std::string(2, '\0') + deflated(text) : std::string(1, '\0') + text;
    return std::string(text_under(read_png_text(png_of({chunk(type, keyword + data)})), keyword));
  };
  for (const std::string type : {"tEXt", "zTXt"}) {
    EXPECT_EQ(text_of(type, "parameters", "雪の中の猫 café"), "雪の中の猫 café");
    EXPECT_EQ(text_of(type, "parameters", "caf\xe9"), "café");
    EXPECT_EQ(text_of(type, "parameters", "plain"), "plain");
    EXPECT_EQ(text_of(type, "fude", "\xc3\xa9"), "\xc3\x83\xc2\xa9");  // what fude wrote is exactly what it says
  }
  // What would be taken for UTF-8 is written so that it is not.
  const std::vector<PngText> texts = {{"parameters", "\xc3\x83\xc2\xa9"}, {"fude", "\xc3\x83\xc2\xa9"}};
  EXPECT_EQ(read_png_text(encode_png(gradient(1, 1), texts)), texts);
}

TEST(Png, RefusesWhatIsDamaged) {
  const std::vector<uint8_t> whole = encode_png(gradient(4, 4), std::vector<PngText>{{"fude", "{}"}, {"wide", "温泉"}});
  EXPECT_EQ(refusal_of(whole, "fude"), "");
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(refusal_of({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}), "") << size;
  }
  std::vector<uint8_t> flipped = whole;
  flipped[std::string(whole.begin(), whole.end()).find("fude") + 5] ^= 1;  // in the text
  EXPECT_NE(refusal_of(flipped, "fude").find("damaged"), std::string::npos);
  EXPECT_NE(refusal_of(png_of({chunk("tEXt", "no zero byte")}), "no zero byte").find("damaged"), std::string::npos);
  EXPECT_NE(refusal_of(png_of({chunk("iTXt", std::string("a\0", 2))})).find("damaged"), std::string::npos);
  EXPECT_NE(refusal_of(png_of({chunk("iTXt", std::string("a\0\1\7\0\0x", 7))})).find("unknown way"), std::string::npos);
  EXPECT_NE(refusal_of(png_of({chunk("zTXt", std::string("a\0\0garbage", 10))})).find("damaged"), std::string::npos);
  EXPECT_NE(refusal_of({'G', 'I', 'F', '8'}).find("does not start like a PNG"), std::string::npos);
}

std::string refusal_of_pixels(const std::vector<uint8_t>& file) {
  try {
    decode_png(file);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::bad_request);
    return error.what();
  }
  return {};
}

std::vector<uint8_t> header(uint32_t width, uint32_t height, int depth, int colour, int interlaced = 0) {
  std::vector<uint8_t> numbers;
  append_u32(numbers, width);
  append_u32(numbers, height);
  std::string data(numbers.begin(), numbers.end());
  for (const int byte : {depth, colour, 0, 0, interlaced}) data += static_cast<char>(byte);
  return chunk("IHDR", data);
}

std::vector<uint8_t> pixels_read(const std::vector<std::vector<uint8_t>>& chunks) { return decode_png(png_of(chunks)).rgb; }

TEST(PngPixels, ComeBack) {
  const Image image = gradient(37, 5);
  const Image read = decode_png(encode_png(image, std::vector<PngText>{{"wide", "温泉"}}));
  EXPECT_EQ(read.width, 37);
  EXPECT_EQ(read.height, 5);
  EXPECT_EQ(read.rgb, image.rgb);
}

TEST(PngPixels, BecomeRgb) {
  using Bytes8 = std::vector<uint8_t>;
  const auto data = [](const std::string& rows) { return chunk("IDAT", deflated(rows)); };
  EXPECT_EQ(pixels_read({header(2, 1, 8, 0), data(std::string("\0\x10\xff", 3))}), (Bytes8{16, 16, 16, 255, 255, 255}));
  EXPECT_EQ(pixels_read({header(2, 1, 1, 0), data(std::string("\0\x40", 2))}), (Bytes8{0, 0, 0, 255, 255, 255}));
  EXPECT_EQ(pixels_read({header(1, 1, 16, 0), data(std::string("\0\x80\x80", 3))}), (Bytes8{128, 128, 128}));
  EXPECT_EQ(pixels_read({header(1, 1, 16, 2), data(std::string("\0\1\1\2\2\xff\xff", 7))}), (Bytes8{1, 2, 255}));
  EXPECT_EQ(pixels_read({header(1, 1, 8, 4), data(std::string("\0\x20\0", 3))}), (Bytes8{32, 32, 32}));
  EXPECT_EQ(pixels_read({header(1, 1, 8, 6), data(std::string("\0\1\2\3\0", 5))}), (Bytes8{1, 2, 3}));
  const auto palette = chunk("PLTE", std::string("\1\2\3\4\5\6", 6));
  EXPECT_EQ(pixels_read({header(2, 1, 8, 3), palette, data(std::string("\0\1\0", 3))}), (Bytes8{4, 5, 6, 1, 2, 3}));
  const auto alpha = chunk("tRNS", std::string("\0\x80", 2));
  EXPECT_EQ(pixels_read({header(2, 1, 8, 3), palette, alpha, data(std::string("\0\1\0", 3))}), (Bytes8{4, 5, 6, 1, 2, 3}));
  // Adam7: the first pass holds the first pixel, the sixth the second, each in a row of its own.
  EXPECT_EQ(pixels_read({header(2, 1, 8, 0, 1), data(std::string("\0\5\0\7", 4))}), (Bytes8{5, 5, 5, 7, 7, 7}));
}

TEST(PngPixels, ComeBackFromBetweenChunksThatAreNotTheirs) {
  const auto data = chunk("IDAT", deflated(std::string("\0\1\2\3", 4)));
  std::vector<uint8_t> damaged = chunk("tEXt", std::string("b\0a dog", 7));
  damaged.back() ^= 1;
  for (const std::vector<uint8_t>& other :
       {damaged, chunk("tEXt", "no zero byte"), chunk("zTXt", std::string("b\0\0garbage", 10)), chunk("teST", "anything"),
        chunk("iCCP", "x"), chunk("tEXt", std::string("workflow\0", 9) + std::string(size_t{9} << 20, 'x')),
        chunk("vpAg", std::string(size_t{9} << 20, 'x'))})
    EXPECT_EQ(pixels_read({header(1, 1, 8, 2), other, data, other}), (std::vector<uint8_t>{1, 2, 3}));
}

TEST(PngPixels, AreRefusedWhenDamaged) {
  const std::vector<uint8_t> whole = encode_png(gradient(16, 16), std::vector<PngText>{{"fude", "{}"}});
  EXPECT_EQ(refusal_of_pixels(whole), "");
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(refusal_of_pixels({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}), "") << size;
  }
  std::vector<uint8_t> flipped = whole;
  flipped[std::string(whole.begin(), whole.end()).find("IDAT") + 20] ^= 1;
  EXPECT_NE(refusal_of_pixels(flipped), "");
  const auto few = chunk("IDAT", deflated(std::string("\0\1\2", 3)));
  EXPECT_NE(refusal_of_pixels(png_of({header(2, 2, 8, 0), few})), "");  // one row of two
  EXPECT_NE(refusal_of_pixels(png_of({header(2, 1, 8, 3), few})), "");  // no palette
  EXPECT_NE(refusal_of_pixels({'G', 'I', 'F', '8'}), "");
}

TEST(PngPixels, AreRefusedWhenTooMany) {
  const auto some = chunk("IDAT", deflated(std::string(1000, '\0')));
  EXPECT_NE(refusal_of_pixels(png_of({header(32769, 1, 8, 0), some})), "");
  EXPECT_NE(refusal_of_pixels(png_of({header(0xffffffff, 0xffffffff, 8, 0), some})), "");
  EXPECT_NE(refusal_of_pixels(png_of({header(16384, 16384, 8, 0), some})).find("too many pixels"), std::string::npos);
  // Few enough, but more than so few bytes can hold: refused before memory is taken for them.
  EXPECT_NE(refusal_of_pixels(png_of({header(11000, 11000, 8, 2), some})).find("cut off"), std::string::npos);
}

class Files : public testing::Test {
 protected:
  void SetUp() override { folder_ = temporary("files"); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  size_t files() const {
    return static_cast<size_t>(
        std::distance(std::filesystem::directory_iterator(folder_), std::filesystem::directory_iterator()));
  }
  std::filesystem::path folder_;
};

TEST_F(Files, AreWrittenWhole) {
  const std::vector<uint8_t> first = {1, 2, 3}, second = {4, 5};
  write_file(folder_ / "a" / "b.bin", first);
  EXPECT_EQ(read_file(folder_ / "a" / "b.bin", 3), first);
  write_file(folder_ / "a" / "b.bin", second);
  EXPECT_EQ(read_file(folder_ / "a" / "b.bin", 3), second);
  EXPECT_THROW(read_file(folder_ / "a" / "b.bin", 1), Error);
  EXPECT_THROW(read_file(folder_ / "a", 1), Error);
  EXPECT_THROW(read_file(folder_ / "none", 1), Error);
  check_writable(folder_ / "a");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_ / "a"), std::filesystem::directory_iterator()), 1);
}

TEST_F(Files, LeaveNothingBehindWhenTheyFail) {
  std::filesystem::create_directories(folder_ / "taken");
  const std::vector<uint8_t> bytes = {1};
  try {
    write_file(folder_ / "taken", bytes);  // a folder has the name
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::io);
    EXPECT_NE(std::string(error.what()).find("taken"), std::string::npos);
  }
  EXPECT_EQ(files(), 1u);
  std::ofstream(folder_ / "file") << "x";
  EXPECT_THROW(write_file(folder_ / "file" / "below.bin", bytes), Error);
  EXPECT_THROW(check_writable(folder_ / "file"), Error);
  EXPECT_EQ(files(), 2u);
}

}  // namespace
}  // namespace fude
