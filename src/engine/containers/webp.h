// Texts of a WebP file.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/containers/texts.h"

namespace fude {

bool is_webp(std::span<const uint8_t> file);

// EXIF's. XMP is not read. Error{bad_request} when the file was cut off.
std::vector<PictureText> read_webp_texts(std::span<const uint8_t> file);

}  // namespace fude
