// T5's tokenizer, with the ids of T5Tokenizer in transformers 5 (tokenization_t5.py), also called T5TokenizerFast: of a
// tokenizer.json or a spiece.model it takes only the pieces, the normalisation table and the added tokens; the rest is T5's
// own.
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
  T5Tokenizer() = default;
  PromptSplitter::Normalize normalizer() const {
    return [this](std::string_view text, size_t offset, NormalText& normal) { charsmap_.normalize(text, offset, normal); };
  }
  void encode_text(std::string_view text, const size_t* origin, TokenRow& row, std::vector<std::string>& unknown) const;

  Unigram unigram_;
  Charsmap charsmap_;
  PromptSplitter splitter_;
  int32_t unknown_ = 0, end_ = 0, pad_ = 0;
  int64_t vocab_size_ = 0;
};

}  // namespace fude
