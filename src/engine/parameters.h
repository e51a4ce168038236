// The text that A1111 writes into pictures, and after it most programs, fude too: a prompt, what to avoid, and a line of
// fields.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fude {

inline constexpr std::string_view kNegativePrefix = "Negative prompt:";

struct Parameters {
  std::string prompt;
  std::string negative;
  std::vector<std::pair<std::string, std::string>> fields;  // in order, without their quotes; empty: there is no such line
  std::string rest;                                         // lines behind the fields

  std::string_view field(std::string_view name) const;  // empty when it is not there
};

// The fields are the last line that begins with "Steps:" and in which at least three are found, whatever lines follow it.
// (A1111 itself looks at the very last line only, whatever it begins with, and so takes "time: noon, place: sea, mood: calm"
// for fields.)
Parameters parse_parameters(std::string_view text);

}  // namespace fude
