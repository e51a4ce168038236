// The Unicode functions of the tokenizers, with the results of Rust's libraries and of Oniguruma's patterns, so that token ids
// equal those of Hugging Face. A thin layer over utf8proc; characters newer than its tables count as unassigned.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fude::unicode {

// True when the bytes are well-formed UTF-8 (no overlong forms, no surrogates). The other functions rely on it.
bool is_utf8(std::string_view text);

// The code point that starts at text[at]; moves `at` behind it.
char32_t next(std::string_view text, size_t& at);

void append(std::string& utf8, char32_t c);

bool is_letter(char32_t c);       // general category L*
bool is_number(char32_t c);       // N*
bool is_white_space(char32_t c);  // the White_Space property

// Canonical composition. Linear but for sorting runs of combining marks, however long a hostile run is.
std::u32string nfc(std::u32string_view text);

// The simple lower case of each character, whatever stands beside it (Σ is always σ); only U+0130 becomes two.
std::u32string lower(std::u32string_view text);

// The end of the extended grapheme cluster that starts at text[begin].
size_t grapheme_end(std::string_view text, size_t begin);

}  // namespace fude::unicode
