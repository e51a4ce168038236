// Pictures as JPEG, where many of them must stay small.
#pragma once

#include <cstdint>
#include <vector>

#include "fude/fude.h"

namespace fude {

// quality: 1–100 as libjpeg means it. Error{io} when memory runs out.
std::vector<uint8_t> encode_jpeg(const Image& image, int quality);

}  // namespace fude
