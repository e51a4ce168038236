// What tells whether a file is still the one that was written. OpenSSL computes it, on Windows the system.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace fude {

std::string sha256_of(std::span<const uint8_t> bytes);  // 64 hexadecimal digits
std::string sha256_library();                           // "OpenSSL 3.0.17"

}  // namespace fude
