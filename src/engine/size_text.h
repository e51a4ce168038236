// The size of a picture as text, the way people type it.
#pragma once

#include <cstdint>
#include <string>

#include "fude/fude.h"

namespace fude {

inline std::string text_of_size(int64_t width, int64_t height) { return std::to_string(width) + 'x' + std::to_string(height); }
inline std::string text_of_size(const Size& size) { return text_of_size(size.width, size.height); }

}  // namespace fude
