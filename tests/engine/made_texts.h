// Files of other programs, as far as their texts go.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace fude {

using FileBytes = std::vector<uint8_t>;

inline FileBytes bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

inline std::string number_of(uint64_t value, size_t size, bool big) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[big ? size - 1 - i : i] = static_cast<char>(value >> (8 * i));
  return bytes;
}

inline std::string made_chunk(const std::string& type, const std::string& data) {
  const std::string body = type + data;
  return number_of(data.size(), 4, true) + body +
         number_of(crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size())), 4, true);
}

// A PNG without pixels.
inline FileBytes made_png(const std::vector<std::pair<std::string, std::string>>& texts) {
  std::string file = "\x89PNG\r\n\x1a\n" + made_chunk("IHDR", std::string(13, '\1'));
  for (const auto& [keyword, text] : texts) file += made_chunk("tEXt", keyword + '\0' + text);
  return bytes_of(file + made_chunk("IEND", ""));
}

struct ExifTag {
  uint16_t tag = 0;
  std::string data;
  uint16_t type = 2;
  bool in_exif = false;  // in EXIF's own directory, as UserComment
};

inline std::string made_exif(const std::vector<ExifTag>& tags, bool big = true) {
  const auto u16 = [&](uint64_t v) { return number_of(v, 2, big); };
  const auto u32 = [&](uint64_t v) { return number_of(v, 4, big); };
  size_t own = 0;
  for (const ExifTag& tag : tags) own += tag.in_exif;
  const size_t first = 8;
  const size_t second = first + 2 + 12 * (tags.size() - own + 1) + 4;
  const size_t data_begin = second + 2 + 12 * own + 4;
  std::string directories[2], data;
  for (const ExifTag& tag : tags) {
    std::string value = tag.data;
    if (value.size() > 4) {
      value = u32(data_begin + data.size());
      data += tag.data;
    }
    value.resize(4);
    directories[tag.in_exif] += u16(tag.tag) + u16(tag.type) + u32(tag.data.size()) + value;
  }
  directories[0] += u16(0x8769) + u16(4) + u32(1) + u32(second);
  return std::string(big ? "MM" : "II") + u16(42) + u32(first) + u16(tags.size() - own + 1) + directories[0] + u32(0) +
         u16(own) + directories[1] + u32(0) + data;
}

inline std::string utf16_of(const std::u16string& text, bool big) {
  std::string bytes;
  for (const char16_t c : text) bytes += number_of(c, 2, big);
  return bytes;
}

inline ExifTag user_comment_of(const std::u16string& text, bool big) {
  return {0x9286, std::string("UNICODE\0", 8) + utf16_of(text, big), 7, true};
}

inline std::string made_segment(uint8_t marker, const std::string& data) {
  return std::string("\xff") + static_cast<char>(marker) + number_of(data.size() + 2, 2, true) + data;
}

inline FileBytes made_jpeg(const std::string& segments) {
  return bytes_of("\xff\xd8" + made_segment(0xe0, "JFIF") + segments + made_segment(0xda, "pixels"));
}
inline FileBytes made_jpeg_with_exif(const std::string& exif) {
  return made_jpeg(made_segment(0xe1, std::string("Exif\0\0", 6) + exif));
}

inline FileBytes made_webp(const std::string& exif) {
  const auto part = [](const std::string& kind, const std::string& data) {
    return kind + number_of(data.size(), 4, false) + data + std::string(data.size() % 2, '\0');
  };
  const std::string body =
      "WEBP" + part("VP8X", std::string(10, '\0')) + part("VP8L", "odd") + part("EXIF", exif) + part("XMP ", "<x/>");
  return bytes_of("RIFF" + number_of(body.size(), 4, false) + body);
}

}  // namespace fude
