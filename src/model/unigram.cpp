// The Viterbi search for the best split of a word.
#include "model/unigram.h"

#include <algorithm>
#include <utility>

#include "model/unicode.h"

namespace fude {

Unigram::Unigram(const std::vector<Piece>& pieces, int32_t unknown) : unknown_(unknown) {
  constexpr double kUnknownPenalty = 10;
  std::vector<std::pair<std::string_view, int32_t>> words;
  for (size_t i = 0; i < pieces.size(); ++i) {
    words.emplace_back(pieces[i].text, static_cast<int32_t>(i));
    scores_.push_back(pieces[i].score);
  }
  trie_ = Trie(std::move(words));
  unknown_score_ = *std::min_element(scores_.begin(), scores_.end()) - kUnknownPenalty;
}

void Unigram::encode(std::string_view word, std::vector<Token>& tokens) const {
  struct Best {  // the best path to an offset
    double score = 0;
    int32_t id = -1;  // of its last piece; -1: not reached
    size_t begin = 0;
  };
  std::vector<Best> best(word.size() + 1);
  for (size_t at = 0; at < word.size();) {
    size_t next = at;
    unicode::next(word, next);
    const double so_far = best[at].score;
    const auto offer = [&](size_t end, double score, int32_t id) {
      Best& target = best[end];
      if (target.id < 0 || so_far + score > target.score) target = {so_far + score, id, at};
    };
    bool is_known = false;
    trie_.prefixes(word.substr(at), [&](size_t length, int32_t id) {
      offer(at + length, scores_[static_cast<size_t>(id)], id);
      if (at + length == next) is_known = true;
    });
    if (!is_known) offer(next, unknown_score_, unknown_);
    at = next;
  }

  const size_t first = tokens.size();
  for (size_t end = word.size(); end > 0; end = best[end].begin) {
    const Best& piece = best[end];
    if (piece.id == unknown_ && tokens.size() > first && tokens.back().id == unknown_) tokens.back().begin = piece.begin;
    else tokens.push_back({piece.id, piece.begin, end});
  }
  std::reverse(tokens.begin() + static_cast<std::ptrdiff_t>(first), tokens.end());
  for (size_t i = first; i < tokens.size(); ++i) {
    Token& token = tokens[i];
    if (token.id != unknown_) continue;
    // The joined characters may spell a piece after all.
    if (const int32_t id = trie_.find(word.substr(token.begin, token.end - token.begin)); id >= 0) token.id = id;
  }
}

}  // namespace fude
