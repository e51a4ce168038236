// Names from files as text for messages, and paths to and from UTF-8. A checkpoint may be hostile, so a name is shortened and
// its control characters escaped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace fude {

// The path as UTF-8, on every platform.
inline std::string text_of(const std::filesystem::path& path) {
  const std::u8string text = path.u8string();
  return {text.begin(), text.end()};
}
// The path of UTF-8 text. Windows would take a narrow string for its own code page.
inline std::filesystem::path path_of(std::string_view utf8) { return {std::u8string(utf8.begin(), utf8.end())}; }

// In quotation marks. (Not `quoted`, which argument-dependent lookup would find in std.)
std::string shown(std::string_view name);
inline std::string shown(const std::string& name) { return shown(std::string_view(name)); }
inline std::string shown(const char* name) { return shown(std::string_view(name)); }
inline std::string shown(const std::filesystem::path& path) { return '"' + text_of(path) + '"'; }

// The first words of a file that is text though it should not be, in quotation marks, on one line.
std::string beginning_of(std::string_view text);
// Whether it may be text at all: weights hold control characters in their first bytes.
bool is_text(std::string_view beginning);

std::string hexadecimal(uint64_t number);  // 16 digits

// "[2, 3]"
template <class Shape>
std::string text_of_shape(const Shape& shape) {
  std::string text = "[";
  for (const auto extent : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return text + ']';
}

}  // namespace fude
