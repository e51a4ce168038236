// The one place that names the devices' classes.
#pragma once

#include <memory>

#include "core/device.h"
#include "fude/fude.h"

namespace fude {

// Error{bad_request} for a device or a dtype that does not exist.
std::unique_ptr<Device> make_device(const EngineOptions& options);
DType requested_dtype(const std::string& name);

// Of a device's name; `threads` as in EngineOptions.
DeviceInfo device_info(const std::string& name, int threads);

}  // namespace fude
