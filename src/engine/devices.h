// The one place that names the backends.
#pragma once

#include <memory>

#include "core/backend.h"
#include "fude/fude.h"

namespace fude {

// Error{bad_request} for a device or a dtype that does not exist.
std::unique_ptr<Backend> make_backend(const EngineOptions& options);
DType requested_dtype(const std::string& name);

// Of a backend's name; `threads` as in EngineOptions.
DeviceInfo device_info(const std::string& name, int threads);

}  // namespace fude
