// JSON as other programs write it into pictures.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "engine/foreign/foreign.h"

namespace fude {

using ForeignJson = nlohmann::ordered_json;

// Parses an object; Python's NaN and Infinity become null. None when it is not an object, or deeper or larger than any program
// writes.
std::optional<ForeignJson> json_object_in(std::string_view text);

// Numbers, also written as text, as some programs do. None when it is not a number, or outside the type's range.
std::optional<double> number_in(const ForeignJson& json);
std::optional<int64_t> integer_in(const ForeignJson& json);
std::optional<uint64_t> seed_in(const ForeignJson& json);  // programs write -1 for a random one

// The request in an object with fields such as "negative_prompt", "cfgScale" or "steps", whatever program named them.
void take_request(const ForeignJson& object, ForeignPicture& picture);

// Adds `what` to picture.dropped, once.
void drop(ForeignPicture& picture, std::string what);

}  // namespace fude
