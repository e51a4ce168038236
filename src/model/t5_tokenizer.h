// T5's tokenizer, with the ids of transformers' T5TokenizerFast as diffusers makes it for SD3.5: rebuilt from spiece.model
// (SpmConverter in convert_slow_tokenizer.py) because its config sets add_prefix_space.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "model/charsmap.h"
#include "model/tokens.h"
#include "model/unigram.h"

namespace fude {

class T5Tokenizer {
 public:
  // Reads a checkpoint's folder, a tokenizer.json or a spiece.model. Throws bad_checkpoint.
  static T5Tokenizer load(const std::filesystem::path& folder_or_file);

  // Throws bad_request for a prompt that is not UTF-8. May be called from several threads.
  Tokens encode(std::string_view utf8, int64_t length = 256) const;

  // One more than the largest id, for comparison with the rows of the embedding.
  int64_t vocab_size() const { return vocab_size_; }

 private:
  // Which texts between special tokens get a leading space.
  enum class Prepend { always, first, never };

  T5Tokenizer() = default;
  void encode_text(std::string_view prompt, size_t begin, size_t end, TokenRow& row, std::vector<std::string>& unknown) const;

  Unigram unigram_;
  Charsmap charsmap_;
  AddedTokens added_;
  Prepend prepend_ = Prepend::always;
  int32_t unknown_ = 0, end_ = 0, pad_ = 0;
  int64_t vocab_size_ = 0;
};

}  // namespace fude
