// Texts in EXIF data, which JPEG, WebP and PNG files may hold (CIPA DC-008, EXIF 2.32: a TIFF file in itself).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/containers/texts.h"

namespace fude {

// ImageDescription, Make, Model, Software and UserComment, as far as they are there. What is cut off or damaged is left out:
// cameras write much that is. At most two directories are read, none twice.
std::vector<PictureText> read_exif_texts(std::span<const uint8_t> exif);

}  // namespace fude
