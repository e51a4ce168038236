// The texts that a picture file carries, whatever kind of file it is.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fude {

inline constexpr size_t kLargestText = size_t{1} << 20;    // of one text, inflated
inline constexpr size_t kLargestTexts = size_t{16} << 20;  // of one picture
inline constexpr size_t kMostTexts = 1000;                 // of one picture; further ones are not looked at

// A chunk of a PNG under its keyword, a tag of EXIF under its name ("UserComment"), a JPEG's comment ("Comment").
struct PictureText {
  std::string keyword;
  std::string text;    // UTF-8
  std::string damage;  // why it cannot be read, "it is damaged"; empty: it was read
  bool operator==(const PictureText&) const = default;
};

// Of a PNG, JPEG or WebP, in file order; pixels are not decoded. The file may be hostile: everything is bounded. A damaged or
// too large text does not affect the others. Error{bad_request} when it is none of these, or cut off.
std::vector<PictureText> read_picture_texts(std::span<const uint8_t> file);

// The first text under a keyword, empty when there is none. Error{bad_request} when it is there and cannot be read.
std::string_view text_under(std::span<const PictureText> texts, std::string_view keyword);

// The first that can be read; empty when there is none.
std::string_view sound_text(std::span<const PictureText> texts, std::string_view keyword);

// Decodes text where a standard asks for Latin-1 or ASCII but programs also write UTF-8: UTF-8 if valid, else Latin-1. As
// UTF-8.
std::string utf8_from_8_bits(std::string_view bytes);
std::string utf8_from_latin1(std::string_view latin1);

}  // namespace fude
