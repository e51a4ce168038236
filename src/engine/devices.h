// The one place that names the backends.
#pragma once

#include <memory>

#include "core/backend.h"
#include "fude/fude.h"

namespace fude {

// Error{bad_request} for a device that does not exist.
std::unique_ptr<Backend> make_backend(const EngineOptions& options);

}  // namespace fude
