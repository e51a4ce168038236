// The small text files of a checkpoint (configurations, indexes, tokenizers), any of which may be hostile.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace fude {

// Throws bad_checkpoint: "<file>: <what is wrong>; <what to do>".
[[noreturn]] void bad_file(const std::filesystem::path& file, std::string_view what);

// The bytes of a regular file of at most 64 MiB.
std::string read_small_file(const std::filesystem::path& file);

// Parses JSON whose nesting and number of values are bounded before any of it is built.
nlohmann::json read_json(const std::filesystem::path& file);

}  // namespace fude
