// What an engine is opened with, by names.
#pragma once

#include <string_view>

#include "fude/options.h"

namespace fude {

struct NamedOptions {
  ModelFiles files;
  EngineOptions engine;
};

// Error{bad_request} with the field: there is no such name, or no such value.
void set_by_name(NamedOptions& options, std::string_view name, std::string_view text);

}  // namespace fude
