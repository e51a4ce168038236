// Tables for spreadsheets (RFC 4180).
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace fude {

// What a spreadsheet needs at the beginning of a file to take it for UTF-8: without it, Excel takes the code page of the
// system, and Japanese becomes unreadable.
inline constexpr std::string_view kUtf8Mark = "\xef\xbb\xbf";

// A cell of text: bytes that are no UTF-8 are replaced, and where a spreadsheet would take the text for a formula and run it,
// it begins with an apostrophe. Numbers stay as they are.
std::string csv_cell(std::string_view text);

// With its line end.
std::string csv_row(std::span<const std::string> cells);

}  // namespace fude
