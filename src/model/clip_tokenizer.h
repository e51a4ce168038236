// CLIP's tokenizer, with the ids of CLIPTokenizer in transformers 5 (tokenization_clip.py), which is made of the parts of the
// `tokenizers` library: the class that diffusers uses for both CLIP encoders of SD3.5.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/bpe.h"
#include "model/tokens.h"

namespace fude {

class ClipTokenizer {
 public:
  // Reads a checkpoint's folder (vocab.json and merges.txt, or tokenizer.json alone, with the configs beside them) or a
  // tokenizer.json. The second tokenizer of SD3.5 pads with `!`, which its config says; a caller that has one folder for both
  // encoders passes it as `pad`. Padding with `!` makes every `!` of a prompt that special token, as in diffusers. Throws
  // bad_checkpoint.
  static ClipTokenizer load(const std::filesystem::path& folder_or_file, std::optional<std::string> pad = {});

  // Throws bad_request for a prompt that is not UTF-8. May be called from several threads.
  Tokens encode(std::string_view utf8, int64_t length = 77) const;

  // One more than the largest id, for comparison with the rows of the embedding.
  int64_t vocab_size() const { return vocab_size_; }

 private:
  ClipTokenizer() = default;
  void encode_text(std::string_view text, const size_t* origin, TokenRow& row) const;

  Bpe bpe_;
  PromptSplitter splitter_;
  int32_t start_ = 0, end_ = 0, pad_ = 0;
  int64_t vocab_size_ = 0;
};

}  // namespace fude
