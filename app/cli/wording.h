// What the library tells as data, in the words of the command line: fields are options, remedies are sentences.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "fude/error.h"

namespace fude {

std::string option_of(Field field);  // "--draft-width"
// The options that give it, one of which is enough.
std::vector<std::string> options_that_give(Field field);
Field field_of(const std::string& option);  // of "--steps"; none where it stands for no field

std::string text_of_budget(int64_t bytes);  // as --vram takes it: "160M", "2.25G"

// What is wrong and what to do.
std::string worded(const Message& message);

int exit_code_of(Code code);
nlohmann::ordered_json json_from(const Error& error);  // {"code": …}, see docs/errors.md

// A failure whose JSON document is on standard output already.
class ToldError : public Error {
 public:
  explicit ToldError(const Error& error) : Error(error) {}
};

}  // namespace fude
