// What a person is told of a plan that costs time, of steps that took much more of it than planned, and of a request that does
// not suit its model.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "fude/fude.h"
#include "weights/checkpoint.h"

namespace fude {

// A round budget, 160 MiB or 2.25 GiB, which holds `bytes` also in a process that itself takes a few MiB more than this one.
int64_t round_budget(int64_t bytes);

// What costs time in a plan that fits, and what would be faster. `all_blocks`: what the process would take of the device if all
// of the transformer stayed there; `total`: what the device has.
std::vector<Message> advice_on(const Plan& plan, const EngineOptions& options, int64_t all_blocks, int64_t total);

// Other programs take `taken` of the `needed` processors that the work would use, so it will take longer than predicted.
Message beside_others(double taken, int needed);

// Seconds of steps of batches of `batch` pictures, beside what the plan predicted: what may be wrong, and what to do. Nothing
// where they are about as planned, where that is not known, and where it hardly matters.
std::optional<Message> why_slow(const Plan& plan, const EngineOptions& options, int64_t batch, std::vector<double> seconds);

// What of a complete request will not come out as a person may expect: a size the model was not trained for, a negative prompt
// that does nothing, T5 that is not there.
std::vector<Message> remarks_on(const Request& request, const Checkpoint& checkpoint);

}  // namespace fude
