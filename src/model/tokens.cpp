// Matching added tokens, and filling and truncating a row of ids.
#include "model/tokens.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "core/characters.h"
#include "fude/error.h"
#include "model/unicode.h"

namespace fude {
namespace {

size_t skip_spaces(std::string_view text, size_t at) {
  while (at < text.size()) {
    size_t after = at;
    if (!unicode::is_white_space(unicode::next(text, after))) break;
    at = after;
  }
  return at;
}

// Back from `at` over white space, not beyond `limit`.
size_t skip_spaces_back(std::string_view text, size_t at, size_t limit) {
  while (at > limit) {
    size_t start = at - 1;
    while (start > limit && continues_character(text[start])) --start;
    size_t after = start;
    if (!unicode::is_white_space(unicode::next(text, after))) break;
    at = start;
  }
  return at;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::vector<std::pair<std::string_view, int32_t>> words;
  for (size_t i = 0; i < tokens_.size(); ++i) words.emplace_back(tokens_[i].text, static_cast<int32_t>(i));
  trie_ = Trie(std::move(words));
}

std::vector<AddedTokens::Part> AddedTokens::split(std::string_view text) const {
  std::vector<Part> parts;
  size_t plain = 0;  // where the ordinary text began
  for (size_t at = 0; at < text.size();) {
    size_t length = 0;
    int32_t found = -1;
    trie_.prefixes(text.substr(at), [&](size_t n, int32_t index) { length = n, found = index; });
    if (found < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(found)];
    const size_t begin = token.strip_left ? skip_spaces_back(text, at, plain) : at;
    const size_t end = token.strip_right ? skip_spaces(text, at + length) : at + length;
    if (plain < begin) parts.push_back({plain, begin, std::nullopt});
    parts.push_back({begin, end, token.id});
    plain = at = end;
  }
  if (plain < text.size()) parts.push_back({plain, text.size(), std::nullopt});
  return parts;
}

PromptSplitter::PromptSplitter(const std::vector<AddedToken>& tokens, const Normalize& normalize) {
  std::vector<AddedToken> written, normal;
  std::unordered_set<std::string> seen;
  for (const AddedToken& token : tokens) {
    if (!token.normalized) {
      written.push_back(token);
      continue;
    }
    NormalText form;
    normalize(token.text, 0, form);
    if (form.text.empty() || !seen.insert(form.text).second) continue;
    normal.push_back(token);
    normal.back().text = std::move(form.text);
  }
  written_ = AddedTokens(std::move(written));
  normal_ = AddedTokens(std::move(normal));
}

void PromptSplitter::split(std::string_view prompt, const Normalize& normalize, const Encode& encode, TokenRow& row) const {
  for (const AddedTokens::Part& written : written_.split(prompt)) {
    if (row.full()) return;
    if (written.id) {
      row.push(*written.id, written.begin);
      continue;
    }
    NormalText normal;
    normalize(prompt.substr(written.begin, written.end - written.begin), written.begin, normal);
    for (const AddedTokens::Part& part : normal_.split(normal.text)) {
      if (row.full()) return;
      if (part.id) row.push(*part.id, normal.origin[part.begin]);
      else encode(std::string_view(normal.text).substr(part.begin, part.end - part.begin), normal.origin.data() + part.begin);
    }
  }
}

Tokens TokenRow::finish(int32_t end, int32_t pad, std::string_view prompt) && {
  Tokens tokens;
  tokens.ids = std::move(ids_);
  tokens.ids.push_back(end);
  tokens.used = static_cast<int64_t>(tokens.ids.size());
  tokens.ids.resize(length_, pad);
  if (cut_at_) {
    tokens.warnings.push_back("the prompt was cut after " + std::to_string(length_ - prefix_ - 1) +
                              " tokens; left out: " + in_quotes(prompt.substr(*cut_at_)));
  }
  return tokens;
}

std::string in_quotes(std::string_view utf8) {
  constexpr size_t kLongest = 200;  // code points
  std::string result = "“";
  size_t at = 0;
  for (size_t count = 0; at < utf8.size() && count < kLongest; ++count) {
    const char32_t c = unicode::next(utf8, at);
    if (c < 0x20 || (c >= 0x7f && c < 0xa0)) result += ' ';
    else unicode::append(result, c);
  }
  if (at < utf8.size()) result += "…";
  return result + "”";
}

void check_request(std::string_view prompt, int64_t length, int64_t specials) {
  if (length < specials || length > 65536) {
    throw Error(Code::bad_request, "a prompt cannot be encoded as " + std::to_string(length) + " tokens; use a length from " +
                                       std::to_string(specials) + " to 65536");
  }
  if (!unicode::is_utf8(prompt)) {
    throw Error(Code::bad_request, "the prompt is not valid UTF-8; save or send it as UTF-8");
  }
}

}  // namespace fude
