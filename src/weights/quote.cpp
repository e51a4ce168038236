// Shortening and escaping of names.
#include "weights/quote.h"

#include <algorithm>

#include "core/characters.h"

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

std::string beginning_of(std::string_view text) {
  constexpr size_t kLongest = 80;
  std::string line;
  size_t at = text.starts_with("\xef\xbb\xbf") ? 3 : 0;
  for (; at < text.size() && line.size() < kLongest; ++at) {
    const bool is_space = static_cast<unsigned char>(text[at]) <= ' ';
    if (!is_space) line += text[at];
    else if (!line.empty() && line.back() != ' ') line += ' ';
  }
  const bool is_cut = at < text.size();
  if (is_cut)  // not in the middle of a character
    while (at > 0 && !line.empty() && continues_character(text[at])) line.pop_back(), --at;
  while (line.ends_with(' ')) line.pop_back();
  return shown(line + (is_cut ? "…" : ""));
}

bool is_text(std::string_view beginning) {
  constexpr std::string_view kSpaces = "\t\n\r\f";
  return !beginning.empty() && std::all_of(beginning.begin(), beginning.end(), [&](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte >= 0x20 && byte < 0xf5) || kSpaces.find(c) != std::string_view::npos;  // UTF-8 has no larger bytes
  });
}

std::string hexadecimal(uint64_t number) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) text += kDigits[(number >> shift) & 15];
  return text;
}

}  // namespace fude
