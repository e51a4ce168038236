// Reading a TIFF structure within bounds, and guessing the encoding of its texts.
#include "engine/containers/exif.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "model/unicode.h"

namespace fude {
namespace {

constexpr uint16_t kExifDirectory = 0x8769, kUserComment = 0x9286;
constexpr std::array<std::pair<uint16_t, const char*>, 5> kTags = {
    {{0x010e, "ImageDescription"}, {0x010f, "Make"}, {0x0110, "Model"}, {0x0131, "Software"}, {kUserComment, "UserComment"}}};
constexpr size_t kEntry = 12;  // bytes of a directory's entry: tag, type, count, value or where it is

// Reads numbers of a TIFF file; 0 outside of it.
class Tiff {
 public:
  explicit Tiff(std::span<const uint8_t> bytes) : bytes_(bytes), big_(!bytes.empty() && bytes[0] == 'M') {}

  bool big_endian() const { return big_; }
  uint16_t u16(size_t at) const { return static_cast<uint16_t>(number(at, 2)); }
  uint32_t u32(size_t at) const { return number(at, 4); }
  std::string_view bytes(size_t at, size_t size) const {
    if (at > bytes_.size() || size > bytes_.size() - at) return {};
    return {reinterpret_cast<const char*>(bytes_.data()) + at, size};
  }

 private:
  uint32_t number(size_t at, size_t size) const {
    if (at > bytes_.size() || size > bytes_.size() - at) return 0;
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) value = value << 8 | bytes_[big_ ? at + i : at + size - 1 - i];
    return value;
  }

  std::span<const uint8_t> bytes_;
  bool big_ = false;
};

std::string_view without_zeros(std::string_view text) {
  while (!text.empty() && text.back() == '\0') text.remove_suffix(1);
  while (!text.empty() && text.front() == '\0') text.remove_prefix(1);  // NovelAI writes four before a description
  return text;
}

// Guesses the byte order of UTF-16: EXIF does not define it, and programs use their own, not the file's. Prompts and settings
// have many characters below 256, whose high byte is zero.
bool is_big_endian(std::string_view utf16, bool otherwise) {
  size_t even = 0, odd = 0;
  for (size_t i = 0; i + 1 < utf16.size(); i += 2) {
    even += utf16[i] == '\0';
    odd += utf16[i + 1] == '\0';
  }
  return even == odd ? otherwise : even > odd;
}

std::string utf8_from_utf16(std::string_view utf16, bool big_endian) {
  const auto unit = [&](size_t at) {
    const auto first = static_cast<unsigned char>(utf16[at]), second = static_cast<unsigned char>(utf16[at + 1]);
    return big_endian ? char32_t{first} << 8 | second : char32_t{second} << 8 | first;
  };
  std::string utf8;
  for (size_t at = 0; at + 1 < utf16.size(); at += 2) {
    char32_t c = unit(at);
    if (c == 0xfeff && at == 0) continue;
    if (c >= 0xd800 && c < 0xe000) {
      const char32_t low = c < 0xdc00 && at + 3 < utf16.size() ? unit(at + 2) : 0;
      const bool pair = low >= 0xdc00 && low < 0xe000;
      c = pair ? 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00) : 0xfffd;
      if (pair) at += 2;
    }
    unicode::append(utf8, c);
  }
  while (utf8.ends_with('\0')) utf8.pop_back();
  return utf8;
}

PictureText user_comment(std::string_view data, bool file_is_big_endian) {
  constexpr size_t kCode = 8;  // bytes that name the character code
  PictureText comment{"UserComment", {}, {}};
  const std::string_view code = data.substr(0, kCode);
  std::string_view text = data.substr(std::min(kCode, data.size()));
  if (code == std::string_view("UNICODE\0", kCode)) {
    const bool marked = text.starts_with("\xfe\xff") || text.starts_with("\xff\xfe");
    if (text.find('\0') == std::string_view::npos && !marked && unicode::is_utf8(text))
      comment.text = text;  // UTF-8 all the same
    else comment.text = utf8_from_utf16(text, marked ? text[0] == '\xfe' : is_big_endian(text, file_is_big_endian));
  } else if (code == std::string_view("JIS\0\0\0\0\0", kCode)) {
    comment.damage = "it is written in the character code JIS, which fude does not read";
  } else if (code == std::string_view("ASCII\0\0\0", kCode) || code == std::string_view("\0\0\0\0\0\0\0\0", kCode)) {
    comment.text = utf8_from_8_bits(without_zeros(text));
  } else {  // without a code, as some programs write it
    comment.text = utf8_from_8_bits(without_zeros(data));
  }
  return comment;
}

}  // namespace

std::vector<PictureText> read_exif_texts(std::span<const uint8_t> exif) {
  constexpr std::string_view kPrefix("Exif\0\0", 6);  // JPEG asks for it, some writers of WebP keep it
  if (std::string_view(reinterpret_cast<const char*>(exif.data()), exif.size()).starts_with(kPrefix))
    exif = exif.subspan(kPrefix.size());
  const Tiff tiff(exif);
  const std::string_view order = tiff.bytes(0, 2);
  if ((order != "II" && order != "MM") || tiff.u16(2) != 42) return {};

  std::vector<PictureText> texts;
  size_t total = 0;
  uint32_t next = tiff.u32(4);
  for (int directory = 0; directory < 2 && next != 0; ++directory) {
    const size_t begin = std::exchange(next, 0);
    const size_t entries = tiff.u16(begin);
    for (size_t i = 0; i < entries; ++i) {
      const size_t entry = begin + 2 + i * kEntry;
      const uint16_t tag = tiff.u16(entry);
      const uint16_t type = tiff.u16(entry + 2);
      if (tag == kExifDirectory && directory == 0) next = tiff.u32(entry + 8);
      const auto known = std::find_if(kTags.begin(), kTags.end(), [&](const auto& one) { return one.first == tag; });
      if (known == kTags.end() || (type != 1 && type != 2 && type != 7) || texts.size() == kMostTexts)
        continue;  // bytes, ASCII, undefined
      const size_t size = tiff.u32(entry + 4);
      const std::string_view data = tiff.bytes(size <= 4 ? entry + 8 : tiff.u32(entry + 8), size);
      if (data.empty()) continue;
      total += size;  // many entries may share the same bytes
      if (size > kLargestText || total > kLargestTexts)
        texts.push_back({known->second, {}, "it is larger than 1 MiB, or all are larger than 16 MiB"});
      else if (tag == kUserComment && type != 2) texts.push_back(user_comment(data, tiff.big_endian()));
      else texts.push_back({known->second, utf8_from_8_bits(without_zeros(data)), {}});
    }
  }
  return texts;
}

}  // namespace fude
