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

// An object; Python's NaN and Infinity count as null. Nothing when it is none, or nests or holds more than any program writes.
std::optional<ForeignJson> json_object_in(std::string_view text);

// Numbers, which some programs write as text. Nothing when it is none, or beyond the type.
std::optional<double> number_in(const ForeignJson& json);
std::optional<int64_t> integer_in(const ForeignJson& json);
std::optional<uint64_t> seed_in(const ForeignJson& json);  // programs write -1 for a random one

// The request in an object with fields such as "negative_prompt", "cfgScale" or "steps", whatever program named them.
void take_request(const ForeignJson& object, ForeignPicture& picture);

// Adds what it names to the picture's list, once.
void drop(ForeignPicture& picture, std::string what);

}  // namespace fude
