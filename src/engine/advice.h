// What a person is told of a plan that costs time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fude/fude.h"

namespace fude {

// What costs time in a plan that fits, and what would be faster. `all_blocks`: what the process would take of the device if all of
// the transformer stayed there; `total`: what the device has.
std::vector<std::string> advice_on(const Plan& plan, const EngineOptions& options, int64_t all_blocks, int64_t total);

}  // namespace fude
