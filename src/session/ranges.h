// Several values of one option, as people write them: "5,10,20..70:10" is 5, 10, 20, 30, 40, 50, 60, 70.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fude/fude.h"

namespace fude {

inline constexpr int64_t kMostValues = 100000;  // of one option

// Each value once, where it came first.
template <class Value>
std::vector<Value> without_repeats(const std::vector<Value>& values) {
  std::set<Value> seen;
  std::vector<Value> once;
  for (const Value& value : values)
    if (seen.insert(value).second) once.push_back(value);
  return once;
}

// Values and ranges (both ends included, ":STEP" is 1 when left out), separated by commas. Repeated values are left out and
// counted in `repeats`. `option` is named in messages: "--steps". Error{bad_request}.
std::vector<int64_t> integers_in(std::string_view option, std::string_view text, size_t* repeats = nullptr);
std::vector<uint64_t> seeds_in(std::string_view option, std::string_view text, size_t* repeats = nullptr);
// Decimal fractions are stepped exactly: 0..1:0.1 has the same 0.3 that is written as 0.3.
std::vector<double> numbers_in(std::string_view option, std::string_view text, size_t* repeats = nullptr);

// "512x768"; "512" is 512x512. Any pixels.
Size size_in(std::string_view option, std::string_view text);
// "512x512,768x512"
std::vector<Size> sizes_in(std::string_view option, std::string_view text, size_t* repeats = nullptr);
// "f32,bf16"; what is allowed is up to the caller.
std::vector<std::string> names_in(std::string_view option, std::string_view text, size_t* repeats = nullptr);

}  // namespace fude
