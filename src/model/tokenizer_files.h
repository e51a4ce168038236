// Reading the files of a tokenizer, any of which may be hostile.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/tokens.h"
#include "weights/json_file.h"

namespace fude {

// Ids are below this, whatever a file says; the largest vocabulary in use has a quarter as many.
constexpr int64_t kMostTokens = 1 << 20;
// Pieces and symbols are shorter than this, which bounds the work per character of a prompt.
constexpr size_t kLongestPiece = 256;

// The members of a JSON object whose values are all ids, such as vocab.json, read without building a document.
std::vector<std::pair<std::string, int32_t>> read_ids(const std::filesystem::path& file);

// An optional file beside a tokenizer: null when it does not exist.
nlohmann::json read_json_if_present(const std::filesystem::path& file);

// A member that must be there, or null where it need not be.
const nlohmann::json& member(const nlohmann::json& object, std::string_view key, const std::filesystem::path& file);
const nlohmann::json* find_member(const nlohmann::json& object, std::string_view key);

// An id of a file, checked to lie in [0, kMostTokens).
int32_t token_id(const nlohmann::json& value, const std::filesystem::path& file);

// "pad_token" and its like, without an id: a string or {"content": string}. special_tokens_map.json (`map`) comes before
// tokenizer_config.json, but where that lists its added tokens the map is not read.
std::optional<AddedToken> special_token(const nlohmann::json& config, const nlohmann::json& map, std::string_view key);

// Entries of "added_tokens" (an array with ids) or "added_tokens_decoder" (an object keyed by id).
std::vector<AddedToken> added_tokens(const nlohmann::json& list, const std::filesystem::path& file);

// Adds the tokens whose text is new, and replaces the others.
void merge_added(std::vector<AddedToken>& into, std::vector<AddedToken> more);

}  // namespace fude
