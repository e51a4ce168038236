// What tells whether a file is still the one that was written.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace fude {

std::string sha256_of(std::span<const uint8_t> bytes);  // 64 hexadecimal digits

}  // namespace fude
