// Reading T5 tokenizers, and splitting prompts as T5Tokenizer does.
#include "model/t5_tokenizer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "fude/error.h"
#include "model/spiece.h"
#include "model/tokenizer_files.h"
#include "model/unicode.h"
#include "weights/quote.h"

namespace fude {
namespace {

constexpr char32_t kMark = 0x2581;  // stands for a space at the beginning of pieces

// T5's own pieces are followed by sentinels, which spiece.model does not hold; the last one comes first.
void add_sentinels(UnigramFile& model, const nlohmann::json& config, const std::filesystem::path& folder) {
  int64_t count = 100;
  if (const auto* stated = find_member(config, "extra_ids")) count = token_id(*stated, folder / "tokenizer_config.json");
  for (int64_t i = count - 1; i >= 0; --i) {
    const std::string text = "<extra_id_" + std::to_string(i) + ">";
    model.added.push_back({text, static_cast<int32_t>(model.pieces.size())});
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
    file = folder_or_file / "tokenizer.json";
    if (!std::filesystem::exists(file, failed)) file = folder_or_file / "spiece.model";
  }
  const bool is_json = file.extension() == ".json";
  UnigramFile model = is_json ? read_unigram_json(file) : read_spiece(file);
  if (!is_json) add_sentinels(model, config, folder_or_file);
  check_pieces(model, file);

  T5Tokenizer tokenizer;
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
      added.push_back({std::string(text), id});
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
  tokenizer.splitter_ = PromptSplitter(added, tokenizer.normalizer());
  return tokenizer;
}

Tokens T5Tokenizer::encode(std::string_view utf8, int64_t length) const {
  check_request(utf8, length, 1);
  TokenRow row({}, length);
  std::vector<std::string> unknown;
  const auto encode = [&](std::string_view text, const size_t* origin) { encode_text(text, origin, row, unknown); };
  splitter_.split(utf8, normalizer(), encode, row);
  Tokens tokens = std::move(row).finish(end_, pad_, utf8);
  if (!unknown.empty()) tokens.warnings.push_back(unknown_warning(std::move(unknown)));
  return tokens;
}

// Words are separated by white space. Each starts with the mark that stands for it, and so does each part of a word where the
// prompt itself holds that mark.
void T5Tokenizer::encode_text(std::string_view text, const size_t* origin, TokenRow& row,
                              std::vector<std::string>& unknown) const {
  std::string part;
  size_t part_begin = 0;
  std::vector<Unigram::Token> tokens;
  const auto finish_part = [&] {
    tokens.clear();
    unigram_.encode(part, tokens);
    for (const Unigram::Token& token : tokens) {
      row.push(token.id, part_begin);
      if (token.id == unknown_ && !row.full()) unknown.push_back(part.substr(token.begin, token.end - token.begin));
    }
    part.clear();
  };
  for (size_t at = 0; at < text.size() && !row.full();) {
    const size_t begin = at;
    const char32_t c = unicode::next(text, at);
    const bool is_space = unicode::is_white_space(c);
    if ((is_space || c == kMark) && !part.empty()) finish_part();
    if (is_space) continue;
    if (part.empty()) {
      part_begin = origin[begin];
      if (c != kMark) unicode::append(part, kMark);
    }
    part.append(text, begin, at - begin);
  }
  if (!row.full()) finish_part();
}

}  // namespace fude
