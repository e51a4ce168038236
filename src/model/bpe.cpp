// The merge loop of byte-pair encoding, with a heap of candidate merges.
#include "model/bpe.h"

#include <algorithm>
#include <cstddef>
#include <queue>
#include <tuple>

namespace fude {

Bpe::Bpe(const std::array<int32_t, 256>& inner, const std::array<int32_t, 256>& last, const std::vector<Merge>& merges)
    : inner_(inner), last_(last) {
  std::vector<uint32_t> order(merges.size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return std::tie(merges[a].left, merges[a].right, a) < std::tie(merges[b].left, merges[b].right, b);
  });
  merges_.reserve(order.size());
  int32_t left = -1;
  for (const uint32_t rank : order) {
    const Merge& merge = merges[rank];
    const bool again = merge.left == left && merges_.back().right == merge.right;
    if (again) merges_.pop_back();
    for (; left < merge.left; ++left) first_.push_back(static_cast<uint32_t>(merges_.size()));
    merges_.push_back({merge.right, merge.merged, rank});
  }
  first_.push_back(static_cast<uint32_t>(merges_.size()));
}

const Bpe::Ranked* Bpe::find(int32_t left, int32_t right) const {
  if (left < 0 || static_cast<size_t>(left) + 1 >= first_.size()) return nullptr;
  const auto first = merges_.begin() + first_[static_cast<size_t>(left)];
  const auto last = merges_.begin() + first_[static_cast<size_t>(left) + 1];
  const auto found =
      std::lower_bound(first, last, right, [](const Ranked& merge, int32_t symbol) { return merge.right < symbol; });
  return found != last && found->right == right ? &*found : nullptr;
}

void Bpe::encode(std::string_view word, std::vector<int32_t>& ids) const {
  struct Symbol {
    int32_t id;  // kDead once merged into the one on its left
    size_t before, after;
  };
  constexpr int32_t kDead = -2;
  const size_t end = word.size();
  std::vector<Symbol> symbols(end);
  for (size_t i = 0; i < end; ++i) {
    symbols[i] = {(i + 1 < end ? inner_ : last_)[static_cast<uint8_t>(word[i])], i - 1, i + 1};
  }

  struct Candidate {
    uint32_t rank;
    size_t at;
    int32_t merged;
    bool operator>(const Candidate& other) const { return std::tie(rank, at) > std::tie(other.rank, other.at); }
  };
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto merge_at = [&](size_t at) {
    const size_t after = symbols[at].after;
    return after < end ? find(symbols[at].id, symbols[after].id) : nullptr;
  };
  const auto consider = [&](size_t at) {
    if (const Ranked* merge = merge_at(at)) queue.push({merge->rank, at, merge->merged});
  };

  for (size_t i = 0; i < end; ++i) consider(i);
  while (!queue.empty()) {
    const Candidate pair = queue.top();
    queue.pop();
    // Stale, unless the pair that is there now still merges into the same symbol.
    const Ranked* merge = merge_at(pair.at);
    if (!merge || merge->merged != pair.merged) continue;
    Symbol& left = symbols[pair.at];
    symbols[left.after].id = kDead;
    left.id = pair.merged;
    left.after = symbols[left.after].after;
    if (left.after < end) symbols[left.after].before = pair.at;
    if (pair.at > 0) consider(left.before);
    consider(pair.at);
  }
  for (size_t at = 0; at < end; at = symbols[at].after) ids.push_back(symbols[at].id);
}

}  // namespace fude
