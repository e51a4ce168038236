// JSON as text: one way for all that is written and printed.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace fude {

// In one line, or with so many spaces for each level. What is no UTF-8 is replaced, never refused.
inline std::string text_of_json(const nlohmann::ordered_json& json, int indent = -1) {
  return json.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

// As the whole of a file or of what a program prints.
inline std::string json_document(const nlohmann::ordered_json& json) { return text_of_json(json, 2) + '\n'; }

}  // namespace fude
