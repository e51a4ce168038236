// What the tokenizers give, and the two things they share: literal special tokens, and cutting a prompt that is too long.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/trie.h"

namespace fude {

struct Tokens {
  std::vector<int32_t> ids;           // padded to the length asked for
  int64_t used = 0;                   // ids before padding, specials included
  std::vector<std::string> warnings;  // what of the prompt will not be drawn
};

// A token that is written literally in a prompt, such as `<|endoftext|>`.
struct AddedToken {
  std::string text;
  int32_t id = 0;
  bool strip_left = false, strip_right = false;  // swallows the white space beside it
};

// Splits a prompt at added tokens: leftmost first, then the longest.
class AddedTokens {
 public:
  AddedTokens() = default;
  explicit AddedTokens(std::vector<AddedToken> tokens);  // distinct texts, none empty

  struct Part {
    size_t begin, end;
    std::optional<int32_t> id;  // of an added token; none for ordinary text
  };
  std::vector<Part> split(std::string_view text) const;

 private:
  std::vector<AddedToken> tokens_;
  Trie trie_;
};

// Collects ids up to a limit and remembers where in the prompt the first one that did not fit began.
class TokenRow {
 public:
  // A row of `length` that starts with `ids` and keeps one place for the end token.
  TokenRow(std::vector<int32_t> ids, int64_t length)
      : ids_(std::move(ids)), length_(static_cast<size_t>(length)), prefix_(ids_.size()) {}
  bool full() const { return cut_at_.has_value(); }
  void push(int32_t id, size_t prompt_offset) {
    if (ids_.size() + 1 < length_) ids_.push_back(id);
    else if (!full()) cut_at_ = prompt_offset;
  }
  // Appends `end`, pads, and warns about what was cut.
  Tokens finish(int32_t end, int32_t pad, std::string_view prompt) &&;

 private:
  std::vector<int32_t> ids_;
  size_t length_, prefix_;
  std::optional<size_t> cut_at_;
};

// Text of a prompt inside a message: in “quotes”, shortened, without control characters.
std::string in_quotes(std::string_view utf8);

// Throws bad_request for a prompt that is not UTF-8 or a length with no room for the special tokens.
void check_request(std::string_view prompt, int64_t length, int64_t specials);

}  // namespace fude
