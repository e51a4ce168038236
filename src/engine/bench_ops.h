// The operations of a picture, timed one by one with random numbers: what this machine makes of its arithmetic and its memory.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/ops.h"
#include "fude/fude.h"

namespace fude {

struct OpsReport {
  BenchPeaks peaks;
  std::vector<Timing> ops;
};

// The shapes are those of SD3.5-medium with guidance, for a picture of this size. `starts` is called before each of them with
// its name, how many are done and how many there are. Error{cancelled, out_of_memory}.
OpsReport bench_ops(Device& device, const OpsOptions& options, int64_t width, int64_t height,
                    const std::function<void(const std::string& name, int64_t done, int64_t of)>& starts);

}  // namespace fude
