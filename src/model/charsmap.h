// SentencePiece's precompiled normalisation table (NFKC-like folding), applied with the rule of Hugging Face's `Precompiled`
// normalizer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokens.h"

namespace fude {

class Charsmap {
 public:
  Charsmap() = default;  // changes nothing
  // Bytes as in spiece.model: the size of a Darts double array, the array, and NUL-terminated replacements. Throws
  // bad_checkpoint.
  Charsmap(std::string_view bytes, const std::filesystem::path& file);

  // Appends the normal form of a text that stands at `offset` of the prompt.
  void normalize(std::string_view text, size_t offset, NormalText& normal) const;

 private:
  std::optional<std::string_view> replacement(std::string_view chunk) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
};

// Standard base64 with padding, as in tokenizer.json; none when it is malformed.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace fude
