// The unigram model inside a tokenizer.json or a spiece.model.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "model/charsmap.h"
#include "model/tokens.h"
#include "model/unigram.h"

namespace fude {

struct UnigramFile {
  std::vector<Unigram::Piece> pieces;
  int32_t unknown = 0;
  Charsmap charsmap;
  std::vector<AddedToken> added;
};

// Throw bad_checkpoint for what is not a unigram model: another kind of model, byte fallback, normalizers that T5 does not
// have.
UnigramFile read_unigram_json(const std::filesystem::path& file);
// A sentencepiece ModelProto (sentencepiece_model.proto).
UnigramFile read_spiece(const std::filesystem::path& file);

// Throws bad_checkpoint unless the pieces are distinct, of a sensible length, UTF-8, finite in score, and `unknown` is one of
// them.
void check_pieces(const UnigramFile& model, const std::filesystem::path& file);

}  // namespace fude
