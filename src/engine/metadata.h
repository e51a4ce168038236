// How a picture remembers its request: text that readers of A1111 pictures understand, and the exact request as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/parameters.h"
#include "fude/fude.h"

namespace fude {

std::string text_of_rules(int64_t rules);

// What drawing it cost, and with which libraries. Not part of what repeats a picture.
struct RenderStats {
  std::string created;  // "2026-11-24T22:51:07", local time
  Seconds seconds;
  std::vector<double> step_seconds;  // of its batch
  Bytes planned, used;
  int64_t peak_host = 0;           // bytes resident in the process
  std::string version, libraries;  // of fude; "oneDNN 2.6.3"
};

// The keywords of the text chunks.
inline constexpr std::string_view kParametersKeyword = "parameters";
inline constexpr std::string_view kProvenanceKeyword = "fude";
inline constexpr std::string_view kStatsKeyword = "fude-making";

// Prompt, negative prompt and one line of fields, as A1111 writes it.
std::string parameters_text(const Provenance& provenance);

// What of a request such text of fude's own tells; the rest keeps its default. Error{bad_request} when a number is none.
Provenance provenance_from(const Parameters& parameters);

nlohmann::ordered_json json_from(const Seconds& seconds);
nlohmann::ordered_json json_from(const Bytes& bytes);
nlohmann::ordered_json json_from(const Request& request);  // with kRules; of embeddings their hash
nlohmann::ordered_json json_from(const Provenance& provenance);

nlohmann::ordered_json json_from(const RenderStats& stats);

// Error{bad_request} when it is not JSON, or a field has the wrong type. Unknown fields are ignored, missing ones keep their
// default.
Provenance provenance_from_json(std::string_view text);
RenderStats stats_from_json(std::string_view text);

}  // namespace fude
