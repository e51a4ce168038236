// Pictures as PNG files that carry text: how a picture remembers its request.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/containers/texts.h"
#include "fude/png.h"

namespace fude {

bool is_png(std::span<const uint8_t> file);

// One text chunk. The keyword is 1–79 Latin-1 characters ("parameters"), the text is UTF-8 on this side.
using PngText = PictureText;

// 8-bit RGB. Text that fits Latin-1 becomes tEXt, all other iTXt, as Pillow (and so A1111) does; so does Latin-1 that would be
// taken for UTF-8.
std::vector<uint8_t> encode_png(const Image& image, std::span<const PngText> text);

// The text chunks (tEXt, zTXt, iTXt) in file order, then those of EXIF; pixels are not looked at. Many programs write UTF-8
// where the standard asks for Latin-1, so that is read as what it must be, except in fude's own. The file may be hostile: sizes
// are bounded (1 MiB a chunk after inflating, 16 MiB in all) and checksums verified; what fails is told where it is asked for.
// Other chunks are skipped, whatever they are like. Error{bad_request} when it is not a whole PNG.
std::vector<PngText> read_png_text(std::span<const uint8_t> file);

inline constexpr int64_t kLargestPngSide = 32768;  // pixels, that are read and written

// The texts that every picture of fude's carries.
std::vector<PngText> texts_of(const Provenance& provenance);

}  // namespace fude
