// The result of tokenizing, and what both tokenizers share: literal special tokens, and truncating prompts that are too long.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
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
  std::vector<std::string> warnings;  // the parts of the prompt that will not be drawn
};

// A token that is written literally in a prompt, such as `<|endoftext|>`.
struct AddedToken {
  std::string text;
  int32_t id = 0;
  bool strip_left = false, strip_right = false;  // swallows the white space beside it
  bool normalized = false;                       // is looked for in the normal form of the prompt, as its own normal form
};

// Text as the vocabulary spells it, and the offset in the prompt that each byte of it came from.
struct NormalText {
  std::string text;
  std::vector<size_t> origin;
};

// Texts to look for, leftmost first, then the longest.
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
  // A row of `length` that starts with `ids` and keeps room for the end token.
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

// The order in which the `tokenizers` library takes a prompt apart: added tokens as they are written, the normal form of each
// text between them, added tokens in that, and what is left, which goes to the model.
class PromptSplitter {
 public:
  // Appends the normal form of a text that stands at `offset` of the prompt.
  using Normalize = std::function<void(std::string_view text, size_t offset, NormalText& normal)>;
  // Gets an ordinary text and the offset in the prompt of each of its bytes.
  using Encode = std::function<void(std::string_view text, const size_t* origin)>;

  PromptSplitter() = default;
  // Distinct texts, none empty. Of those that have the same normal form one is found.
  PromptSplitter(const std::vector<AddedToken>& tokens, const Normalize& normalize);

  // Fills the row until it is full.
  void split(std::string_view prompt, const Normalize& normalize, const Encode& encode, TokenRow& row) const;

 private:
  AddedTokens written_, normal_;
};

// Text of a prompt inside a message: in “quotes”, shortened, without control characters.
std::string in_quotes(std::string_view utf8);

// Throws bad_request for a prompt that is not UTF-8 or a length with no room for the special tokens.
void check_request(std::string_view prompt, int64_t length, int64_t specials);

}  // namespace fude
