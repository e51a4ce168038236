// JSON as text: one way for all that is written and printed.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace fude {

// In one line, or with so many spaces for each level. What is no UTF-8 is replaced, never refused.
inline std::string text_of_json(const nlohmann::ordered_json& json, int indent = -1) {
  return json.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace fude
