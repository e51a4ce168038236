// The rates of this machine: measured once in a few seconds, and kept in a file.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/ops.h"
#include "core/rates.h"
#include "fude/fude.h"
#include "weights/checkpoint.h"

namespace fude {

// Weights of one shape, at least one, whose files tell how fast a model is read.
std::vector<Source> large_weights(const Checkpoint& checkpoint);

// Measures within `room` bytes of the device and as many of the host. in_files: large_weights. Error{cancelled, out_of_memory,
// io}.
Rates calibrate(Device& device, const OpsOptions& options, std::span<const Source> in_files, int64_t room);

// Those that `file` has of this device, driver and library in a dtype, or else measured, and then kept there, unless other
// programs disturbed the measuring. An empty name: no file. A file that is damaged or another program's is written anew; one
// that cannot be written costs the next process the time to measure.
Rates rates_of(Device& device, const OpsOptions& options, const DeviceInfo& info, const std::string& file,
               std::span<const Source> in_files, int64_t room);

// What a request tells of rates by which `predicted` seconds were expected for what took `taken`; `offloaded`:
// has_host_offloaded of its plan. Stages that took no time tell nothing, and neither do those that took more than twice what
// the rates alone predict: something else disturbed them. Whether it is worth keeping.
bool learn(Rates& rates, const Seconds& predicted, const Seconds& taken, bool offloaded);
// Keeps them as rates_of does. Empty, or why the file could not be written: that costs the next process the time to measure.
std::string keep_rates(const DeviceInfo& info, DType dtype, const std::string& file, const Rates& rates);

}  // namespace fude
