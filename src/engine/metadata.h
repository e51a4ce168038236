// How a picture remembers its request: text that readers of A1111 pictures understand, and the exact request as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fude/fude.h"

namespace fude {

// A request and what drew it. Every field is stored in the picture.
struct Provenance {
  Request request;    // count 1 and the picture's own seed
  std::string model;  // name, not a path: pictures are shown to others
  std::string model_hash;
  std::string device;
  std::string dtype;
  bool no_t5 = false;
};

// The keywords of the two text chunks.
inline constexpr std::string_view kParametersKeyword = "parameters";
inline constexpr std::string_view kProvenanceKeyword = "fude";

// Prompt, negative prompt and one line of fields, as A1111 writes it.
std::string parameters_text(const Provenance& provenance);

struct Parameters {
  std::string prompt;
  std::string negative;
  std::vector<std::pair<std::string, std::string>> fields;  // in order, without their quotes

  std::string_view field(std::string_view name) const;  // empty when it is not there
};

// Reads such text as A1111 does: the last line holds fields only if at least three are found in it.
Parameters parse_parameters(std::string_view text);

// What of a request such text tells; the rest keeps its default. Error{bad_request} when a number is none.
Provenance provenance_from(const Parameters& parameters);

nlohmann::ordered_json json_from(const Request& request);
nlohmann::ordered_json json_from(const Provenance& provenance);

// Error{bad_request} when it is not JSON, or a field has the wrong type. Unknown fields are ignored, missing ones keep their
// default.
Provenance provenance_from_json(std::string_view text);

}  // namespace fude
