// Fields of a request by their names, for callers that are not written in C++: a value's JSON, or its text, for each row.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "fude/request.h"

namespace fude {

// Names are those of fields ("skip_scale"), of diffusers and A1111 ("skip_layer_guidance_scale"), and of JSON as pictures have
// it ("skip_layers": {"scale": 2.8}). Null is the default. All are set or none. Error{bad_request} with the field, where there
// is none of a name or a value is none for it; ranges are looked at later (engine/request.h).
void set_by_names(Request& request, const nlohmann::ordered_json& object);
// As a person writes it: "7,8,9". Empty where it is no text: the default.
void set_by_name(Request& request, std::string_view name, std::string_view text);

// As set_by_names takes it.
nlohmann::ordered_json named_values(const Request& request);
// [{"name", "other_names", "type", "help", "least", "most"}].
nlohmann::ordered_json named_fields();

}  // namespace fude
