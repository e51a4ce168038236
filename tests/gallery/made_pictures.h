// Pictures for tests, from formulas that are easy to repeat in another program.
#pragma once

#include <algorithm>

#include "fude/fude.h"

namespace fude {

inline Image made_picture(int64_t width, int64_t height, int phase = 0) {
  Image image;
  image.width = width;
  image.height = height;
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      for (int64_t c = 0; c < 3; ++c)
        image.rgb.push_back(static_cast<uint8_t>((x * x / 8 + y * (3 + c) + x * y / 16 + phase) % 256));
    }
  }
  return image;
}

// The same with noise of up to `most` either way.
inline Image noisy(Image image, int most) {
  uint32_t state = 1;
  for (uint8_t& byte : image.rgb) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<uint8_t>(std::clamp(int{byte} + static_cast<int>((state >> 16) % (2u * most + 1)) - most, 0, 255));
  }
  return image;
}

}  // namespace fude
