// A set of words with a number each, searched for all the words that a text begins with. Flat and built by sorting: nothing in
// a hostile file can make it slow, as it could a hash table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace fude {

class Trie {
 public:
  Trie() = default;
  // The words are distinct and not empty; their bytes are copied.
  explicit Trie(std::vector<std::pair<std::string_view, int32_t>> words);

  // Calls visit(length, value) for every word that `text` begins with, the shortest first.
  template <class Visit>
  void prefixes(std::string_view text, Visit&& visit) const {
    size_t node = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      node = child(node, static_cast<uint8_t>(text[i]));
      if (node == 0) return;
      if (values_[node] >= 0) visit(i + 1, values_[node]);
    }
  }

  // The value of exactly this word, or -1.
  int32_t find(std::string_view word) const;

 private:
  size_t child(size_t node, uint8_t label) const;  // 0, the root, stands for none

  // Nodes in breadth-first order, so the children of node i are the nodes first_child_[i] … first_child_[i + 1] - 1.
  std::vector<uint32_t> first_child_;
  std::vector<uint8_t> labels_;
  std::vector<int32_t> values_;  // -1: no word ends here
};

}  // namespace fude
