// What a person is told of a plan that costs time, and of steps that took much more of it than planned.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fude/fude.h"

namespace fude {

// What costs time in a plan that fits, and what would be faster. `all_blocks`: what the process would take of the device if all of
// the transformer stayed there; `total`: what the device has.
std::vector<std::string> advice_on(const Plan& plan, const EngineOptions& options, int64_t all_blocks, int64_t total);

// Seconds of steps of batches of `batch` pictures, beside what the plan foresaw: what may be wrong, and what to do. Empty where they are
// about as planned, where that is not known, and where it hardly matters.
std::string why_slow(const Plan& plan, const EngineOptions& options, int64_t batch, std::vector<double> seconds);

}  // namespace fude
