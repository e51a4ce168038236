// SentencePiece's unigram model: the split of a word into pieces whose scores add up to the most (Viterbi), with the ties and
// the unknown pieces of Hugging Face's implementation.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/trie.h"

namespace fude {

class Unigram {
 public:
  struct Piece {
    std::string text;
    double score;
  };
  // A run of unknown characters is one token.
  struct Token {
    int32_t id;
    size_t begin, end;  // bytes of the word
  };

  Unigram() = default;
  // The texts are distinct UTF-8, not empty; the scores are finite; `unknown` is one of the ids.
  Unigram(const std::vector<Piece>& pieces, int32_t unknown);

  // Appends the tokens of a word.
  void encode(std::string_view word, std::vector<Token>& tokens) const;

  int32_t find(std::string_view piece) const { return trie_.find(piece); }

 private:
  Trie trie_;
  std::vector<double> scores_;
  int32_t unknown_ = 0;
  double unknown_score_ = 0;
};

}  // namespace fude
