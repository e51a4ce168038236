// Prompts with choices: "a {red|blue} {cat|dog}" stands for four prompts.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fude {

// Braces enclose a choice, bars separate its options, which may be empty or hold choices. Braces without a bar are text. The
// escapes \{ \} \| and \\ stand for the character itself; a bar outside of braces needs no backslash.
class Wildcards {
 public:
  // Of one or several prompts; each of several is an option too. Error{bad_request} that points at the position.
  explicit Wildcards(const std::vector<std::string>& prompts);

  uint64_t combinations() const { return combinations_; }  // at least 1
  // Combination `index` of them; the last choice changes fastest.
  std::string combination(uint64_t index) const;
  // The combination of candidate i (below 100000): all of them in turn, ordered so that even the first few differ in every
  // choice.
  std::string prompt_of(uint64_t i) const;
  // Its option of each outermost choice, in the order of the text; with several prompts, the prompt first.
  std::vector<std::string> choices_of(uint64_t i) const;

 private:
  struct Choice;
  struct Piece {  // literal text, or a choice
    std::string text;
    std::shared_ptr<const Choice> choice;
  };
  using Sequence = std::vector<Piece>;
  struct Choice {
    std::vector<Sequence> options;
    std::vector<uint64_t> combinations;  // of each option
    uint64_t sum = 0;                    // of them
  };
  class Parser;

  static void count(Choice& choice);
  static uint64_t combinations_of(const Sequence& sequence);
  static void append(const Sequence& sequence, uint64_t index, std::string& text, std::vector<std::string>* chosen);
  uint64_t index_of(uint64_t i) const;

  Sequence sequence_;
  uint64_t combinations_ = 1;
};

// The prompt that stands for this text and nothing else.
std::string literally(std::string_view text);

}  // namespace fude
