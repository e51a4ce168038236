// The Unicode functions on top of utf8proc, where they differ from it and why.
#include "model/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

namespace fude::unicode {
namespace {

utf8proc_category_t category(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

bool within(utf8proc_category_t value, utf8proc_category_t first, utf8proc_category_t last) {
  return value >= first && value <= last;
}

std::u32string composed(std::u32string_view text) {
  // No character below U+0300 is changed by composition unless something above follows it.
  if (std::all_of(text.begin(), text.end(), [](char32_t c) { return c < 0x300; })) return std::u32string(text);

  std::vector<utf8proc_int32_t> points;
  points.reserve(text.size() + 8);
  for (const char32_t c : text) {
    utf8proc_int32_t parts[8];  // the longest canonical decomposition is 4 code points
    int boundary = 0;
    const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts, 8,
                                               static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE), &boundary);
    if (count < 0 || count > 8) throw std::logic_error("utf8proc cannot decompose a valid code point");
    points.insert(points.end(), parts, parts + count);
  }
  // utf8proc_decompose would order the marks by exchanging neighbours: quadratic in a run of marks.
  const auto combining = [](utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; };
  for (auto first = points.begin(); first != points.end();) {
    const auto last = std::find_if(first, points.end(), [&](auto c) { return combining(c) == 0; });
    if (last - first > 1) std::stable_sort(first, last, [&](auto a, auto b) { return combining(a) < combining(b); });
    first = last == points.end() ? last : last + 1;
  }
  const auto length = utf8proc_normalize_utf32(points.data(), static_cast<utf8proc_ssize_t>(points.size()),
                                               static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  return {points.begin(), points.begin() + length};
}

}  // namespace

bool is_utf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (size_t at = 0; at < text.size();) {
    if (bytes[at] < 0x80) {
      ++at;
      continue;
    }
    utf8proc_int32_t c = -1;
    const auto taken = utf8proc_iterate(bytes + at, static_cast<utf8proc_ssize_t>(std::min<size_t>(text.size() - at, 4)), &c);
    if (taken <= 0) return false;
    at += static_cast<size_t>(taken);
  }
  return true;
}

char32_t next(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[at + i])); };
  const char32_t lead = byte(0);
  char32_t c = lead;
  size_t length = 1;
  if (lead >= 0xf0) {
    c = ((lead & 0x07) << 18) | ((byte(1) & 0x3f) << 12) | ((byte(2) & 0x3f) << 6) | (byte(3) & 0x3f);
    length = 4;
  } else if (lead >= 0xe0) {
    c = ((lead & 0x0f) << 12) | ((byte(1) & 0x3f) << 6) | (byte(2) & 0x3f);
    length = 3;
  } else if (lead >= 0xc0) {
    c = ((lead & 0x1f) << 6) | (byte(1) & 0x3f);
    length = 2;
  }
  at += length;
  return c;
}

void append(std::string& utf8, char32_t c) {
  utf8proc_uint8_t bytes[4];
  const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), bytes);
  utf8.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
}

bool is_letter(char32_t c) { return within(category(c), UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LO); }

bool is_number(char32_t c) { return within(category(c), UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO); }

bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
         c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

std::u32string nfc(std::u32string_view text) {
  // utf8proc takes this vowel for a final consonant that is not there, and loses it behind a syllable. Nothing composes with
  // it.
  constexpr char32_t kVowel = 0x11a7;
  std::u32string result;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(kVowel, at), text.size());
    result += composed(text.substr(at, end - at));
    if (end < text.size()) result += kVowel;
    at = end + 1;
  }
  return result;
}

std::u32string lower(std::u32string_view text) {
  std::u32string result;
  for (const char32_t c : text) {
    if (c == 0x130) result += U"i\u0307";
    else result += static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
  }
  return result;
}

size_t grapheme_end(std::string_view text, size_t begin) {
  size_t end = begin;
  char32_t before = next(text, end);
  utf8proc_int32_t state = 0;
  while (end < text.size()) {
    size_t after = end;
    const char32_t c = next(text, after);
    if (utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(before), static_cast<utf8proc_int32_t>(c), &state))
      break;
    before = c;
    end = after;
  }
  return end;
}

}  // namespace fude::unicode
