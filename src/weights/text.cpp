#include "weights/text.h"

namespace fude {

std::string shown(std::string_view name) {
  constexpr size_t kLongest = 160;
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text = "\"";
  for (const char c : name.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) text += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    else text += c;
  }
  if (name.size() > kLongest) text += "…";
  return text + '"';
}

std::string hexadecimal(uint64_t number) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) text += kDigits[(number >> shift) & 15];
  return text;
}

}  // namespace fude
