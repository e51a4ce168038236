// Quoting of cells.
#include "gallery/csv.h"

#include <utf8proc.h>

#include <charconv>

namespace fude {
namespace {

std::string as_utf8(std::string_view text) {
  std::string valid;
  while (!text.empty()) {
    utf8proc_int32_t code = 0;
    const utf8proc_ssize_t used = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                                   static_cast<utf8proc_ssize_t>(text.size()), &code);
    valid += used > 0 ? text.substr(0, static_cast<size_t>(used)) : std::string_view("\xef\xbf\xbd");
    text.remove_prefix(used > 0 ? static_cast<size_t>(used) : 1);
  }
  return valid;
}

// As spreadsheets take them, the wide ones of Japanese keyboards too.
bool looks_like_a_formula(std::string_view text) {
  for (const std::string_view start : {"=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"}) {
    if (!text.starts_with(start)) continue;
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error != std::errc() || end != text.data() + text.size();
  }
  return false;
}

}  // namespace

std::string csv_cell(std::string_view text) {
  std::string cell = as_utf8(text);
  if (looks_like_a_formula(cell)) cell.insert(0, 1, '\'');
  if (cell.find_first_of(",\"\r\n") == std::string::npos) return cell;
  std::string quoted = "\"";
  for (const char c : cell) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + '"';
}

std::string csv_row(std::span<const std::string> cells) {
  std::string row;
  for (const std::string& cell : cells) row += (&cell == cells.data() ? "" : ",") + csv_cell(cell);
  return row + "\r\n";
}

}  // namespace fude
