// The small text files of a checkpoint (configurations, indexes, tokenizers), any of which may be hostile.
#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace fude {

// Throws bad_checkpoint: "<file>: <what is wrong>; <what to do>".
[[noreturn]] void bad_file(const std::filesystem::path& file, std::string_view what);

// The bytes of a regular file of at most 64 MiB.
std::string read_small_file(const std::filesystem::path& file);

// Parses JSON after checking its nesting depth and number of values, before anything is built.
nlohmann::json read_json(const std::filesystem::path& file);

// Which limit a JSON text exceeds first, if any. Only looks at brackets, commas and strings, so it takes any text.
enum class JsonExcess { none, depth, values };
JsonExcess excess_of_json(std::string_view text, size_t deepest, size_t most_values);

}  // namespace fude
