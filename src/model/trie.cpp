// Building the trie by sorting, and walking it.
#include "model/trie.h"

#include <algorithm>

namespace fude {

Trie::Trie(std::vector<std::pair<std::string_view, int32_t>> words) {
  std::sort(words.begin(), words.end());
  struct Range {
    uint32_t first, last;  // the words below a node
  };
  std::vector<Range> level{{0, static_cast<uint32_t>(words.size())}}, below;
  labels_.push_back(0);
  values_.push_back(-1);
  for (size_t depth = 0; !level.empty(); ++depth) {
    for (Range range : level) {
      first_child_.push_back(static_cast<uint32_t>(labels_.size()));
      // Only the first of the sorted words of a node can end at it.
      if (range.first < range.last && words[range.first].first.size() == depth) ++range.first;
      while (range.first < range.last) {
        const char label = words[range.first].first[depth];
        uint32_t end = range.first + 1;
        while (end < range.last && words[end].first[depth] == label) ++end;
        labels_.push_back(static_cast<uint8_t>(label));
        values_.push_back(words[range.first].first.size() == depth + 1 ? words[range.first].second : -1);
        below.push_back({range.first, end});
        range.first = end;
      }
    }
    level.swap(below);
    below.clear();
  }
  first_child_.push_back(static_cast<uint32_t>(labels_.size()));
}

size_t Trie::child(size_t node, uint8_t label) const {
  if (first_child_.empty()) return 0;
  const auto first = labels_.begin() + first_child_[node];
  const auto last = labels_.begin() + first_child_[node + 1];
  const auto found = std::lower_bound(first, last, label);
  return found != last && *found == label ? static_cast<size_t>(found - labels_.begin()) : 0;
}

int32_t Trie::find(std::string_view word) const {
  size_t node = 0;
  for (const char c : word) {
    node = child(node, static_cast<uint8_t>(c));
    if (node == 0) return -1;
  }
  return word.empty() ? -1 : values_[node];
}

}  // namespace fude
