// Matching and filling of name patterns.
#include "weights/pattern.h"

#include <charconv>

namespace fude {

namespace {

// Splits "{name}rest" after its closing brace and returns the name.
std::string_view take_placeholder(std::string_view& pattern) {
  const size_t end = pattern.find('}');
  const std::string_view name = pattern.substr(1, end - 1);
  pattern.remove_prefix(end + 1);
  return name;
}

// A decimal number without leading zeros, so that one block has one name.
bool take_number(std::string_view& text, int64_t& number) {
  size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
  if (digits == 0 || digits > 9 || (digits > 1 && text[0] == '0')) return false;
  std::from_chars(text.data(), text.data() + digits, number);
  text.remove_prefix(digits);
  return true;
}

}  // namespace

bool match(std::string_view pattern, std::string_view text, Bindings& bound) {
  while (!pattern.empty()) {
    if (pattern[0] != '{') {
      if (text.empty() || text[0] != pattern[0]) return false;
      pattern.remove_prefix(1);
      text.remove_prefix(1);
      continue;
    }
    const std::string_view name = take_placeholder(pattern);
    if (name == "t") {
      bound.t = text;
      return !text.empty();
    }
    if (name == "s") {
      bound.s = text.substr(0, text.find('.'));
      text.remove_prefix(bound.s.size());
      continue;
    }
    int64_t number = 0;
    if (!take_number(text, number)) return false;
    if (name == "i") bound.i = number;
    else if (name == "j") bound.j = number;
    else if (number != bound.last) return false;  // {last}
  }
  return text.empty();
}

std::string fill(std::string_view pattern, const Bindings& bound) {
  std::string text;
  while (!pattern.empty()) {
    if (pattern[0] != '{') {
      text += pattern[0];
      pattern.remove_prefix(1);
      continue;
    }
    const std::string_view name = take_placeholder(pattern);
    if (name == "t") text += bound.t;
    else if (name == "s") text += bound.s;
    else if (name == "i") text += std::to_string(bound.i);
    else if (name == "j") text += std::to_string(bound.j);
    else if (name == "last") text += std::to_string(bound.last);
    else text += std::to_string(bound.last - bound.i);  // {last-i}; a block beyond the last has no name and is not found
  }
  return text;
}

}  // namespace fude
