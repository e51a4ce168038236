// Parsing choices, and walking evenly through their combinations.
#include "session/wildcards.h"

#include <numeric>
#include <utility>

#include "fude/error.h"
#include "weights/quote.h"

namespace fude {
namespace {

// So that a candidate's number times the stride below fits into 64 bits.
constexpr uint64_t kMostCombinations = 100'000'000'000'000;
constexpr int kDeepest = 32;  // choices within choices: reading them recurses

[[noreturn]] void refuse_combinations() {
  throw Error(Code::bad_request, "the prompt's choices have more than " + std::to_string(kMostCombinations) +
                                     " combinations. Leave out some of its {…|…}.");
}

}  // namespace

class Wildcards::Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Sequence parse() {
    Sequence sequence = parse_sequence(0);
    if (at_ < text_.size()) refuse("a } closes nothing", at_);
    return sequence;
  }

  [[noreturn]] void refuse(const std::string& what, size_t at) const {
    throw Error(Code::bad_request, "the prompt " + shown(text_) + ": " + what + ", at " + shown(text_.substr(at, 20)) +
                                       " (byte " + std::to_string(at) +
                                       "). Write choices as {red|blue}, and \\{ or \\} for a brace in the picture's text.");
  }

 private:
  // Up to the end, or to the | or } that belongs to the choice around it.
  Sequence parse_sequence(int depth) {
    Sequence sequence;
    const auto text = [&]() -> std::string& {
      if (sequence.empty() || sequence.back().choice) sequence.emplace_back();
      return sequence.back().text;
    };
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '}' || (c == '|' && depth > 0)) break;
      if (c == '{') {
        append(sequence, parse_braces(depth + 1));
      } else if (c == '\\' && at_ + 1 < text_.size() &&
                 std::string_view("{}|\\").find(text_[at_ + 1]) != std::string_view::npos) {
        text() += text_[at_ + 1];
        at_ += 2;
      } else {
        text() += c;
        ++at_;
      }
    }
    return sequence;
  }

  // A choice, or where no bar is within, the braces and what they enclose.
  Sequence parse_braces(int depth) {
    const size_t begin = at_;
    if (depth > kDeepest) refuse("more than " + std::to_string(kDeepest) + " braces within each other", begin);
    auto choice = std::make_shared<Choice>();
    do {
      ++at_;  // { or |
      choice->options.push_back(parse_sequence(depth));
    } while (at_ < text_.size() && text_[at_] == '|');
    if (at_ == text_.size()) refuse("a { is never closed", begin);
    ++at_;  // }
    if (choice->options.size() == 1) {
      Sequence literal = {{"{", nullptr}};
      append(literal, std::move(choice->options[0]));
      append(literal, {{"}", nullptr}});
      return literal;
    }
    count(*choice);
    return {{{}, std::move(choice)}};
  }

  static void append(Sequence& sequence, Sequence more) {
    for (Piece& piece : more) {
      if (!piece.choice && !sequence.empty() && !sequence.back().choice) sequence.back().text += piece.text;
      else sequence.push_back(std::move(piece));
    }
  }

  std::string_view text_;
  size_t at_ = 0;
};

Wildcards::Wildcards(const std::vector<std::string>& prompts) {
  auto choice = std::make_shared<Choice>();
  for (const std::string& prompt : prompts) choice->options.push_back(Parser(prompt).parse());
  count(*choice);
  combinations_ = choice->sum;
  sequence_.push_back({{}, std::move(choice)});
}

void Wildcards::count(Choice& choice) {
  for (const Sequence& option : choice.options) {
    choice.combinations.push_back(combinations_of(option));
    choice.sum += choice.combinations.back();
    if (choice.sum > kMostCombinations) refuse_combinations();
  }
}

uint64_t Wildcards::combinations_of(const Sequence& sequence) {
  uint64_t product = 1;
  for (const Piece& piece : sequence) {
    if (!piece.choice) continue;
    if (piece.choice->sum > kMostCombinations / product) refuse_combinations();
    product *= piece.choice->sum;
  }
  return product;
}

// `chosen` collects the outer choices, if not null. A choice with one option is skipped, and the choices inside it count.
void Wildcards::append(const Sequence& sequence, uint64_t index, std::string& text, std::vector<std::string>* chosen) {
  uint64_t below = combinations_of(sequence);  // combinations of this piece and those after it
  for (const Piece& piece : sequence) {
    if (!piece.choice) {
      text += piece.text;
      continue;
    }
    const std::vector<uint64_t>& options = piece.choice->combinations;
    below /= piece.choice->sum;
    uint64_t which = index / below;
    index %= below;
    size_t option = 0;
    while (which >= options[option]) which -= options[option++];
    const bool is_choice = options.size() > 1;
    const size_t begin = text.size();
    append(piece.choice->options[option], which, text, is_choice ? nullptr : chosen);
    if (is_choice && chosen) chosen->push_back(text.substr(begin));
  }
}

std::string Wildcards::combination(uint64_t index) const {
  std::string text;
  append(sequence_, index % combinations_, text, nullptr);
  return text;
}

uint64_t Wildcards::index_of(uint64_t i) const {
  // A stride by the golden ratio spreads any number of steps evenly; coprime to the count, it visits every combination.
  auto stride = static_cast<uint64_t>(0.6180339887498949 * static_cast<double>(combinations_));
  while (std::gcd(stride, combinations_) != 1) ++stride;
  return i % combinations_ * stride % combinations_;
}

std::string Wildcards::prompt_of(uint64_t i) const { return combination(index_of(i)); }

std::vector<std::string> Wildcards::choices_of(uint64_t i) const {
  std::string text;
  std::vector<std::string> chosen;
  append(sequence_, index_of(i), text, &chosen);
  return chosen;
}

std::string literally(std::string_view text) {
  std::string prompt;
  for (const char c : text) {
    if (c == '{' || c == '}' || c == '\\') prompt += '\\';
    prompt += c;
  }
  return prompt;
}

}  // namespace fude
