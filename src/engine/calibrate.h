// The rates of this machine: measured once in a second or two, and kept in a file.
#pragma once

#include <optional>
#include <string>

#include "core/backend.h"
#include "core/rates.h"
#include "fude/fude.h"
#include "weights/source.h"

namespace fude {

// Measures in the dtype the backend uses; afterwards the backend has no arena. `table`: one of a model, whose file is read.
// Error{cancelled, out_of_memory, io}.
Rates calibrate(Backend& op, const Source& table);

// Those that `file` has of this device, driver and library in the backend's dtype. An empty name: no file.
std::optional<Rates> known_rates(const Backend& op, const DeviceInfo& device, const std::string& file);

// The same or else measured, and then kept there. A file that is damaged or another
// program's is written anew; one that cannot be written costs the next process the time to measure.
Rates rates_of(Backend& op, const DeviceInfo& device, const std::string& file, const Source& table);

}  // namespace fude
