// Patterns of tensor names with placeholders, as the rows of layouts use them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fude {

struct Bindings {
  int64_t last = -1;  // known beforehand: the number of the last block
  int64_t i = -1, j = -1;
  std::string_view s, t;
};

// Whether `text` has the form of `pattern`; fills i, j, s and t.
bool match(std::string_view pattern, std::string_view text, Bindings& bound);

// The pattern with its placeholders replaced.
std::string fill(std::string_view pattern, const Bindings& bound);

}  // namespace fude
