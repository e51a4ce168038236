// Reading the chunks of a WebP file.
//
// A WebP file is RIFF: four letters, the size of what follows (u32, little endian), data, and a zero byte where its size is
// odd; RFC 9649, section 2.
#include "engine/containers/webp.h"

#include <string_view>

#include "engine/containers/exif.h"
#include "fude/error.h"

namespace fude {
namespace {

constexpr size_t kHeader = 12;  // RIFF, size, WEBP

std::string_view letters_at(std::span<const uint8_t> file, size_t at) {
  return {reinterpret_cast<const char*>(file.data()) + at, 4};
}

size_t size_at(std::span<const uint8_t> file, size_t at) {
  return size_t{file[at]} | size_t{file[at + 1]} << 8 | size_t{file[at + 2]} << 16 | size_t{file[at + 3]} << 24;
}

}  // namespace

bool is_webp(std::span<const uint8_t> file) {
  return file.size() >= kHeader && letters_at(file, 0) == "RIFF" && letters_at(file, 8) == "WEBP";
}

std::vector<PictureText> read_webp_texts(std::span<const uint8_t> file) {
  for (size_t at = kHeader; file.size() - at >= 8;) {
    const size_t size = size_at(file, at + 4);
    const std::string_view kind = letters_at(file, at);
    at += 8;
    if (size > file.size() - at) throw Error(Code::bad_request, "this WebP picture was cut off. Give it whole.");
    if (kind == "EXIF") return read_exif_texts(file.subspan(at, size));
    at += size;
    at += size % 2 != 0 && at < file.size() ? 1 : 0;
  }
  return {};
}

}  // namespace fude
