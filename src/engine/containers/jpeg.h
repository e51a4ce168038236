// Texts of a JPEG file.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/containers/texts.h"

namespace fude {

bool is_jpeg(std::span<const uint8_t> file);

// EXIF's and the comments, up to the pixels. A comment of the form keyword, zero byte, text is under its keyword, as
// stable-diffusion.cpp writes it. XMP is not read. Error{bad_request} when the file ends before its pixels.
std::vector<PictureText> read_jpeg_texts(std::span<const uint8_t> file);

}  // namespace fude
