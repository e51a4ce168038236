// What the library tells as data, as JSON: messages, failures, plans. Whoever shows it gives the words.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "fude/error.h"
#include "fude/plan.h"

namespace fude {

using Words = std::string (*)(const Message&);  // text_of, or what names options as well

nlohmann::ordered_json json_from(const Message& message, Words words);
nlohmann::ordered_json json_from(const Error& error, Words words);  // {"code": …}, see docs/errors.md
nlohmann::ordered_json json_from(const Plan& plan, Words words);    // see docs/plan.md

}  // namespace fude
