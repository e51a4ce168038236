// Several values of one option, as people write them: "5,10,20..70:10" is 5, 10, 20, 30, 40, 50, 60, 70.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fude/fude.h"

namespace fude {

inline constexpr int64_t kMostValues = 100000;  // of one option

// Values and ranges (both ends included, ":STEP" is 1 when left out), separated by commas. A value that comes again is left
// out. `option` is named in messages: "--steps". Error{bad_request}.
std::vector<int64_t> integers_in(std::string_view option, std::string_view text);
std::vector<uint64_t> seeds_in(std::string_view option, std::string_view text);
// Decimal fractions are stepped exactly: 0..1:0.1 has the same 0.3 that is written as 0.3.
std::vector<double> numbers_in(std::string_view option, std::string_view text);

// "512x512,768x512"; "512" is 512x512.
std::vector<Size> sizes_in(std::string_view option, std::string_view text);
// "f32,bf16"; what is allowed is up to the caller.
std::vector<std::string> names_in(std::string_view option, std::string_view text);

}  // namespace fude
