// Checked reading of token ids, special tokens and added tokens.
#include "model/tokenizer_files.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>
#include <utility>

#include "fude/error.h"
#include "model/unicode.h"
#include "weights/presence.h"
#include "weights/quote.h"

namespace fude {
namespace {

constexpr std::string_view kNoId = "a token id is not a whole number from 0 to 1048575";

// Collects the members of an object whose values are all ids.
class IdReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit IdReader(const std::filesystem::path& file) : file_(file) {}
  std::vector<std::pair<std::string, int32_t>> take() { return std::move(ids_); }

  bool key(string_t& text) override {
    key_ = std::move(text);
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (!is_open_) not_an_object();
    if (value >= static_cast<uint64_t>(kMostTokens)) no_id();
    ids_.emplace_back(std::move(key_), static_cast<int32_t>(value));
    return true;
  }
  bool start_object(size_t) override {
    if (is_open_) no_id();
    is_open_ = true;
    return true;
  }
  bool end_object() override { return true; }
  bool start_array(size_t) override { no_id(); }
  bool end_array() override { no_id(); }
  bool null() override { no_id(); }
  bool boolean(bool) override { no_id(); }
  bool number_integer(number_integer_t) override { no_id(); }
  bool number_float(number_float_t, const string_t&) override { no_id(); }
  bool string(string_t&) override { no_id(); }
  bool binary(binary_t&) override { no_id(); }
  bool parse_error(size_t, const std::string&, const nlohmann::json::exception&) override {
    bad_file(file_, "it is not valid JSON");
  }

 private:
  [[noreturn]] void not_an_object() const { bad_file(file_, "its vocabulary is not an object"); }
  [[noreturn]] void no_id() const {
    if (!is_open_) not_an_object();
    bad_file(file_, kNoId);
  }

  const std::filesystem::path& file_;
  std::vector<std::pair<std::string, int32_t>> ids_;
  std::string key_;
  bool is_open_ = false;
};

bool flag(const nlohmann::json& entry, std::string_view key) {
  const nlohmann::json* value = find_member(entry, key);
  return value && value->is_boolean() && value->get<bool>();
}

}  // namespace

std::vector<std::pair<std::string, int32_t>> read_ids(const std::filesystem::path& file) {
  const std::string text = read_small_file(file);
  IdReader reader(file);
  nlohmann::json::sax_parse(text, &reader);
  return reader.take();
}

nlohmann::json read_json_if_present(const std::filesystem::path& file) {
  return is_present(file) ? read_json(file) : nlohmann::json();
}

const nlohmann::json* find_member(const nlohmann::json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

const nlohmann::json& member(const nlohmann::json& object, std::string_view key, const std::filesystem::path& file) {
  const nlohmann::json* found = find_member(object, key);
  if (!found) bad_file(file, "it has no " + shown(key));
  return *found;
}

int32_t token_id(const nlohmann::json& value, const std::filesystem::path& file) {
  if (value.is_number_integer()) {
    const bool fits = value.is_number_unsigned() ? value.get<uint64_t>() < static_cast<uint64_t>(kMostTokens)
                                                 : value.get<int64_t>() >= 0 && value.get<int64_t>() < kMostTokens;
    if (fits) return value.get<int32_t>();
  }
  bad_file(file, kNoId);
}

std::optional<AddedToken> special_token(const nlohmann::json& config, const nlohmann::json& map, std::string_view key) {
  for (const nlohmann::json* object : {find_member(config, "added_tokens_decoder") ? &config : &map, &config}) {
    const nlohmann::json* entry = find_member(*object, key);
    const nlohmann::json* text = entry && entry->is_object() ? find_member(*entry, "content") : entry;
    if (!text || !text->is_string() || text->get_ref<const std::string&>().empty()) continue;
    return AddedToken{text->get<std::string>(), 0, flag(*entry, "lstrip"), flag(*entry, "rstrip"), flag(*entry, "normalized")};
  }
  return std::nullopt;
}

std::vector<AddedToken> added_tokens(const nlohmann::json& list, const std::filesystem::path& file) {
  std::vector<AddedToken> tokens;
  const auto add = [&](const nlohmann::json& entry, int32_t id) {
    const nlohmann::json& text = member(entry, "content", file);
    if (!text.is_string() || text.get_ref<const std::string&>().empty() ||
        text.get_ref<const std::string&>().size() > kLongestPiece) {
      bad_file(file, "an added token is not a text of 1 to 256 bytes");
    }
    if (flag(entry, "single_word")) bad_file(file, "an added token is \"single_word\", which fude does not read");
    tokens.push_back({text.get<std::string>(), id, flag(entry, "lstrip"), flag(entry, "rstrip"), flag(entry, "normalized")});
  };
  if (list.is_array()) {
    for (const auto& entry : list) add(entry, token_id(member(entry, "id", file), file));
  } else if (list.is_object()) {
    for (const auto& [key, entry] : list.items()) {
      int32_t id = -1;
      const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
      if (error != std::errc() || end != key.data() + key.size()) bad_file(file, "a token id is not a whole number");
      add(entry, token_id(id, file));
    }
  } else {
    bad_file(file, "its added tokens are not a list");
  }
  std::vector<AddedToken> distinct;
  merge_added(distinct, std::move(tokens));
  return distinct;
}

void merge_added(std::vector<AddedToken>& into, std::vector<AddedToken> more) {
  std::unordered_map<std::string, size_t> index;
  for (size_t i = 0; i < into.size(); ++i) index.emplace(into[i].text, i);
  for (AddedToken& token : more) {
    const auto [at, is_new] = index.emplace(token.text, into.size());
    if (is_new) into.push_back(std::move(token));
    else into[at->second] = std::move(token);
  }
}

}  // namespace fude
