// Byte-pair encoding as the `tokenizers` library does it: the bytes of a word become symbols, the last one marked as a word's
// end, and the adjacent pair that was learnt first, the leftmost of its kind, is merged until none is left.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace fude {

class Bpe {
 public:
  struct Merge {
    int32_t left, right, merged;  // symbol ids
  };

  Bpe() = default;
  // `inner` and `last` are the ids of each byte inside a word and at its end; the merges come in the order in which they were
  // learnt. Where a pair comes twice the later rank counts.
  Bpe(const std::array<int32_t, 256>& inner, const std::array<int32_t, 256>& last, const std::vector<Merge>& merges);

  // Appends the ids of one word (at least one byte), in O(n log n).
  void encode(std::string_view word, std::vector<int32_t>& ids) const;

 private:
  struct Ranked {
    int32_t right, merged;
    uint32_t rank;
  };
  const Ranked* find(int32_t left, int32_t right) const;

  std::array<int32_t, 256> inner_{}, last_{};
  std::vector<uint32_t> first_;  // merges whose left symbol is i: first_[i] … first_[i + 1] - 1, by right symbol
  std::vector<Ranked> merges_;
};

}  // namespace fude
