// Characters of UTF-8, and the letters from A to Z, where a text is cut or compared.
#pragma once

#include <string>
#include <string_view>

namespace fude {

// Whether the byte belongs to the character before it.
inline bool continues_character(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

// Where the character begins that byte `at` belongs to: a text that is cut there ends with a whole one.
inline size_t character_begin(std::string_view text, size_t at) {
  while (at > 0 && at < text.size() && continues_character(text[at])) --at;
  return at;
}

inline size_t characters_in(std::string_view text) {
  size_t count = 0;
  for (const char byte : text) count += !continues_character(byte);
  return count;
}

// At most so many characters, with … after them where there are more.
inline std::string first_characters(std::string_view text, size_t most) {
  for (size_t at = 0; at < text.size(); ++at)
    if (!continues_character(text[at]) && most-- == 0) return std::string(text.substr(0, at)) + "…";
  return std::string(text);
}

// Of A to Z alone, whatever the locale.
inline char lower_case(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
inline std::string lower_case(std::string text) {
  for (char& c : text) c = lower_case(c);
  return text;
}

}  // namespace fude
