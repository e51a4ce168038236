// A picture's pixels as the data of a PNG's IDAT chunk, compressed by several threads.
#pragma once

#include <cstdint>
#include <vector>

#include "fude/fude.h"

namespace fude {

// 8-bit RGB. The same bytes for the same pixels, however many cores there are.
std::vector<uint8_t> compressed_pixels(const Image& image);

}  // namespace fude
