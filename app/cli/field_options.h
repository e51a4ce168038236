// The options of a request's fields, as engine/fields.h describes them.
#pragma once

#include <string>
#include <string_view>

#include "fude/fude.h"
#include "options.h"

namespace fude {

std::string option_names(Field field);  // as Options takes them: "--steps,--num-inference-steps"
// "1 to 1000; default: the model's own". `usual`: what the command uses instead of the field's own default.
std::string meaning_of(Field field, const std::string& usual = {});

// One value, into the request, which has its part then.
void add_field_option(Options& options, std::string_view group, Field field, Request& request, const std::string& usual = {});

}  // namespace fude
