#include "model/t5_tokenizer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "fude/error.h"
#include "model/spiece.h"
#include "model/tokenizer_files.h"
#include "model/unicode.h"
#include "weights/text.h"

namespace fude {
namespace {

constexpr std::string_view kSpace = "\xe2\x96\x81";  // U+2581, which stands for a space inside pieces

bool is_true(const nlohmann::json* value) { return value && value->is_boolean() && value->get<bool>(); }
bool is_false(const nlohmann::json* value) { return value && value->is_boolean() && !value->get<bool>(); }

// T5's own pieces are followed by sentinels, which spiece.model does not hold; the last one comes first.
void add_sentinels(UnigramFile& model, const nlohmann::json& config, const std::filesystem::path& folder) {
  int64_t count = 100;
  if (const auto* stated = find_member(config, "extra_ids")) count = token_id(*stated, folder / "tokenizer_config.json");
  for (int64_t i = count - 1; i >= 0; --i) {
    const std::string text = "<extra_id_" + std::to_string(i) + ">";
    model.added.push_back({text, static_cast<int32_t>(model.pieces.size()), false, false});
    model.pieces.push_back({text, 0.0});
  }
}

// The warning about pieces that were drawn as the unknown token.
std::string unknown_warning(std::vector<std::string> unknown) {
  constexpr size_t kMostNamed = 10;
  std::sort(unknown.begin(), unknown.end());
  unknown.erase(std::unique(unknown.begin(), unknown.end()), unknown.end());
  std::string text = "these pieces are not in the vocabulary: ";
  for (size_t i = 0; i < std::min(unknown.size(), kMostNamed); ++i) text += (i ? ", " : "") + in_quotes(unknown[i]);
  if (unknown.size() > kMostNamed) text += " and " + std::to_string(unknown.size() - kMostNamed) + " more";
  return text + "; each is drawn as the same unknown token";
}

}  // namespace

T5Tokenizer T5Tokenizer::load(const std::filesystem::path& folder_or_file) {
  std::error_code failed;
  std::filesystem::path file = folder_or_file;
  nlohmann::json config;
  if (std::filesystem::is_directory(folder_or_file, failed)) {
    config = read_json_if_present(folder_or_file / "tokenizer_config.json");
    const auto spiece = folder_or_file / "spiece.model", json = folder_or_file / "tokenizer.json";
    const bool is_rebuilt = config.is_null() || find_member(config, "add_prefix_space");
    const bool has_spiece = std::filesystem::exists(spiece, failed), has_json = std::filesystem::exists(json, failed);
    file = has_spiece && (is_rebuilt || !has_json) ? spiece : json;
  }
  const bool is_json = file.extension() == ".json";
  UnigramFile model = is_json ? read_unigram_json(file) : read_spiece(file);
  if (!is_json) add_sentinels(model, config, folder_or_file);
  check_pieces(model, file);

  T5Tokenizer tokenizer;
  // A rebuilt tokenizer ignores what tokenizer.json says here, and without a config the file is taken for SD3.5's, which is
  // rebuilt.
  const nlohmann::json* prefix = find_member(config, "add_prefix_space");
  if (is_json && !config.is_null() && !prefix) {
    if (model.prepend_scheme == "first") tokenizer.prepend_ = Prepend::first;
    else if (model.prepend_scheme == "never") tokenizer.prepend_ = Prepend::never;
  } else if (prefix && !is_true(prefix)) {
    tokenizer.prepend_ = Prepend::never;
  } else if (is_false(find_member(config, "legacy"))) {
    tokenizer.prepend_ = Prepend::first;
  }

  std::vector<AddedToken> added = std::move(model.added);
  if (const auto* list = find_member(config, "added_tokens_decoder")) {
    merge_added(added, added_tokens(*list, folder_or_file / "tokenizer_config.json"));
  }
  tokenizer.unigram_ = Unigram(model.pieces, model.unknown);
  tokenizer.charsmap_ = std::move(model.charsmap);
  tokenizer.unknown_ = model.unknown;
  tokenizer.vocab_size_ = static_cast<int64_t>(model.pieces.size());
  const auto special = [&](std::string_view text) {
    const int32_t id = tokenizer.unigram_.find(text);
    if (id < 0) bad_file(file, "the vocabulary has no " + shown(text));
    if (std::none_of(added.begin(), added.end(), [&](const AddedToken& token) { return token.text == text; })) {
      added.push_back({std::string(text), id, false, false});
    }
    return id;
  };
  tokenizer.end_ = special("</s>");
  tokenizer.pad_ = special("<pad>");
  special(model.pieces[static_cast<size_t>(model.unknown)].text);
  for (const AddedToken& token : added) {
    const int32_t known = tokenizer.unigram_.find(token.text);
    if (known >= 0 && known != token.id) {
      bad_file(file, "the added token " + shown(token.text) + " has another id than in the vocabulary");
    }
    tokenizer.vocab_size_ = std::max<int64_t>(tokenizer.vocab_size_, token.id + 1);
  }
  tokenizer.added_ = AddedTokens(std::move(added));
  return tokenizer;
}

Tokens T5Tokenizer::encode(std::string_view utf8, int64_t length) const {
  check_request(utf8, length, 1);
  TokenRow row({}, length);
  std::vector<std::string> unknown;
  for (const auto& [begin, end, id] : added_.split(utf8)) {
    if (row.full()) break;
    if (id) row.push(*id, begin);
    else encode_text(utf8, begin, end, row, unknown);
  }
  Tokens tokens = std::move(row).finish(end_, pad_, utf8);
  if (!unknown.empty()) tokens.warnings.push_back(unknown_warning(std::move(unknown)));
  return tokens;
}

void T5Tokenizer::encode_text(std::string_view prompt, size_t begin, size_t end, TokenRow& row,
                              std::vector<std::string>& unknown) const {
  std::string normal;
  std::vector<size_t> origin;  // the place in the prompt of every byte of `normal`
  charsmap_.normalize(prompt.substr(begin, end - begin), begin, normal, origin);
  size_t size = 0;  // without the white space at the right
  for (size_t at = 0; at < normal.size();) {
    if (!unicode::is_white_space(unicode::next(normal, at))) size = at;
  }
  if (size == 0) return;

  std::string word;
  size_t word_begin = begin;
  std::vector<Unigram::Token> tokens;
  const auto finish_word = [&] {
    tokens.clear();
    unigram_.encode(word, tokens);
    for (const Unigram::Token& token : tokens) {
      row.push(token.id, word_begin);
      if (token.id == unknown_ && !row.full()) unknown.push_back(word.substr(token.begin, token.end - token.begin));
    }
    word.clear();
  };

  const bool starts_with_space = normal[0] == ' ' || normal.compare(0, kSpace.size(), kSpace) == 0;
  if (!starts_with_space && (prepend_ == Prepend::always || (prepend_ == Prepend::first && begin == 0))) word = kSpace;
  for (size_t at = 0; at < size && !row.full();) {
    const size_t here = at;
    const bool is_blank = normal[at] == ' ';
    if (is_blank) at = std::min(normal.find_first_not_of(' ', at), size);  // a run of spaces is one
    else unicode::next(normal, at);
    const bool is_space = is_blank || normal.compare(here, kSpace.size(), kSpace) == 0;
    if (is_space && !word.empty()) finish_word();
    if (word.empty() || word == kSpace) word_begin = origin[here];
    if (is_space) word += kSpace;
    else word.append(normal, here, at - here);
  }
  finish_word();
}

}  // namespace fude
