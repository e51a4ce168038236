// Pictures as PNG files that carry text: how a picture remembers its request.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fude/fude.h"

namespace fude {

// One text chunk. The keyword is 1–79 Latin-1 characters ("parameters"), the text is UTF-8 on this side.
struct PngText {
  std::string keyword;
  std::string text;
  bool operator==(const PngText&) const = default;
};

// 8-bit RGB. Text that fits Latin-1 becomes tEXt, all other iTXt, as Pillow (and so A1111) does.
std::vector<uint8_t> encode_png(const Image& image, std::span<const PngText> text);

// The text chunks (tEXt, zTXt, iTXt) in file order; pixels are not looked at. The file may be hostile: sizes are bounded (1 MiB
// a chunk after inflating, 16 MiB in all) and checksums verified. Error{bad_request} when it is not a whole PNG.
std::vector<PngText> read_png_text(std::span<const uint8_t> file);

// 8-bit RGB pixels, whatever the file stores: gray and palettes become RGB, 16 bits are rounded to 8, alpha is left out. The
// file may be hostile: at most 32768 pixels a side and 2²⁷ in all, no more than its compressed bytes can hold.
// Error{bad_request} when it is not a whole PNG.
Image decode_png(std::span<const uint8_t> file);

// The text under a keyword, empty when there is none.
std::string_view text_under(std::span<const PngText> texts, std::string_view keyword);

}  // namespace fude
