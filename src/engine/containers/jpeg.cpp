// Reading the segments of a JPEG file.
//
// A JPEG file is a row of segments up to its pixels: 0xff, a marker, and for most the length of what follows (u16, big endian,
// with its own two bytes); ITU-T T.81, annex B.
#include "engine/containers/jpeg.h"

#include <string_view>

#include "engine/containers/exif.h"
#include "fude/error.h"

namespace fude {
namespace {

constexpr uint8_t kStart = 0xd8, kEnd = 0xd9, kPixels = 0xda, kApp1 = 0xe1, kComment = 0xfe;
constexpr size_t kLongestKeyword = 79;  // as a PNG's

bool has_length(uint8_t marker) { return marker != 0x01 && !(marker >= 0xd0 && marker <= kStart); }

PictureText text_of_comment(std::string_view data) {
  while (!data.empty() && data.back() == '\0') data.remove_suffix(1);
  const size_t zero = data.find('\0');
  if (zero == 0 || zero > kLongestKeyword) return {"Comment", utf8_from_8_bits(data), {}};
  return {utf8_from_8_bits(data.substr(0, zero)), utf8_from_8_bits(data.substr(zero + 1)), {}};
}

}  // namespace

bool is_jpeg(std::span<const uint8_t> file) {
  return file.size() >= 3 && file[0] == 0xff && file[1] == kStart && file[2] == 0xff;
}

std::vector<PictureText> read_jpeg_texts(std::span<const uint8_t> file) {
  std::vector<PictureText> texts;
  size_t at = 2;
  while (at + 1 < file.size() && texts.size() < kMostTexts) {
    if (file[at] != 0xff) break;
    const uint8_t marker = file[at + 1];
    if (marker == 0xff) {  // a filler
      ++at;
      continue;
    }
    if (marker == kPixels || marker == kEnd) return texts;
    at += 2;
    if (!has_length(marker)) continue;
    if (file.size() - at < 2) break;
    const size_t length = size_t{file[at]} << 8 | file[at + 1];
    if (length < 2 || length > file.size() - at) break;
    const std::span<const uint8_t> data = file.subspan(at + 2, length - 2);
    const std::string_view letters(reinterpret_cast<const char*>(data.data()), data.size());
    at += length;
    if (marker == kApp1 && letters.starts_with(std::string_view("Exif\0", 5)))
      for (PictureText& text : read_exif_texts(data)) texts.push_back(std::move(text));
    else if (marker == kComment) texts.push_back(text_of_comment(letters));
  }
  if (texts.size() >= kMostTexts) return texts;
  throw Error(Code::bad_request, "this JPEG picture is damaged or was cut off. Give it whole.");
}

}  // namespace fude
