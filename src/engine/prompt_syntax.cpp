// Recognising other programs' weights, choices and tags in a prompt.
#include "engine/prompt_syntax.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "core/characters.h"
#include "weights/quote.h"

namespace fude {
namespace {

constexpr size_t kLongestPiece = 200;  // farther apart, brackets are not looked at as a pair
constexpr size_t kLongestShown = 40, kMostShown = 5;
constexpr std::array<std::string_view, 6> kWords = {"BREAK",  "AND",     "ADDCOL",
                                                    "ADDROW", "ADDCOMM", "ADDBASE"};  // A1111 and its extensions

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return (c >= 'a' && c <= 'z') || static_cast<unsigned char>(c) >= 0x80; }
bool is_word(char c) { return is_digit(c) || is_lower(c) || (c >= 'A' && c <= 'Z') || c == '_'; }

// The end of a number at `at`, such as 1, .8 or -1.25; `at` where there is none.
size_t number_end(std::string_view text, size_t at) {
  size_t end = at < text.size() && (text[at] == '-' || text[at] == '+') ? at + 1 : at;
  size_t digits = 0;
  for (; end < text.size() && (is_digit(text[end]) || text[end] == '.'); ++end) digits += is_digit(text[end]);
  return digits > 0 ? end : at;
}

// The end of the piece that the bracket at `at` opens; `at` where it is not closed nearby. Escaped brackets are text.
size_t closed_end(std::string_view text, size_t at, char open, char close) {
  size_t depth = 0;
  for (size_t i = at; i < text.size() && i - at < kLongestPiece; ++i) {
    if (text[i] == '\\') ++i;
    else if (text[i] == open) ++depth;
    else if (text[i] == close && --depth == 0) return i + 1;
  }
  return at;
}

bool ends_in_weight(std::string_view inside) {  // "cat:1.3"
  const size_t colon = inside.rfind(':');
  if (colon == std::string_view::npos) return false;
  size_t begin = colon + 1;
  size_t end = inside.size();
  while (begin < end && inside[begin] == ' ') ++begin;
  while (end > begin && inside[end - 1] == ' ') --end;
  return begin < end && number_end(inside.substr(0, end), begin) == end;
}

bool weighs_choices(std::string_view inside) {  // "2::a|b", "2$$a|b"
  const auto holds = [&](std::string_view part) { return inside.find(part) != std::string_view::npos; };
  return holds("$$") || (holds("::") && holds("|"));
}

// Whether a word in capitals stands in running text, not among other capitals.
bool stands_out(std::string_view text, size_t begin, size_t end) {
  const auto lower_near = [&](std::string_view part) { return std::any_of(part.begin(), part.end(), is_lower); };
  constexpr size_t kNear = 12;
  const size_t from = begin > kNear ? begin - kNear : 0;
  return lower_near(text.substr(from, begin - from)) || lower_near(text.substr(end, kNear)) || text.size() == end - begin;
}

// The end of a word with InvokeAI's marks, cat++ or cat--; `at` where none begins. Two letters at least: C++ is text.
size_t marked_word_end(std::string_view text, size_t at) {
  size_t end = at;
  while (end < text.size() && is_word(text[end])) ++end;
  if (end < at + 2 || end == text.size() || (text[end] != '+' && text[end] != '-')) return at;
  const size_t behind = std::min(text.find_first_not_of(text[end], end), text.size());
  return behind >= end + 2 && (behind == text.size() || !is_word(text[behind])) ? behind : at;
}

// The end of a piece that begins at `at`; `at` where none does.
size_t piece_end(std::string_view text, size_t at) {
  const std::string_view rest = text.substr(at);
  const bool begins_word = at == 0 || !is_word(text[at - 1]);
  switch (text[at]) {
    case '\\': return rest.size() > 1 && std::string_view("()[]<>").find(rest[1]) != std::string_view::npos ? at + 2 : at;
    case '(': {
      const size_t end = closed_end(text, at, '(', ')');
      if (end == at) return at;
      const std::string_view inside = text.substr(at + 1, end - at - 2);
      if (inside.starts_with('(') && inside.ends_with(')')) return end;
      if (ends_in_weight(inside)) return end;
      size_t behind = end;  // InvokeAI: (cat)1.2, (cat)++
      while (behind < text.size() && (text[behind] == '+' || text[behind] == '-')) ++behind;
      if (behind == end) behind = number_end(text, end);
      return behind > end && (behind == text.size() || !is_word(text[behind])) ? behind : at;
    }
    case '[': {
      const size_t end = closed_end(text, at, '[', ']');
      return end > at + 2 ? end : at;
    }
    case '{': {
      const size_t end = closed_end(text, at, '{', '}');
      if (end == at) return at;
      const std::string_view inside = text.substr(at + 1, end - at - 2);
      const bool is_doubled = inside.starts_with('{') && inside.ends_with('}');  // NovelAI: {{cat}}
      return is_doubled || inside.find('|') != std::string_view::npos || weighs_choices(inside) ? end : at;
    }
    case '<': {
      size_t colon = at + 1;
      while (colon < text.size() && (is_word(text[colon]) || text[colon] == '[')) ++colon;
      if (colon == at + 1 || colon >= text.size() || text[colon] != ':') return at;
      return closed_end(text, at, '<', '>');
    }
    case '_': {
      if (!rest.starts_with("__") || !begins_word) return at;
      const size_t end = rest.substr(0, kLongestPiece).find("__", 2);
      if (end == std::string_view::npos || end == 2) return at;
      const auto fits = [](char c) { return is_word(c) || c == '/' || c == '-' || c == '*' || c == '.'; };
      const std::string_view name = rest.substr(2, end - 2);
      return std::all_of(name.begin(), name.end(), fits) ? at + end + 2 : at;
    }
    default: break;
  }
  if (!begins_word) return at;
  if (rest.starts_with("embedding:") && rest.size() > 10 && is_word(rest[10])) {
    const size_t end = rest.find_first_of(" ,()\n");
    return end == std::string_view::npos ? text.size() : at + end;
  }
  if (is_digit(text[at]) || text[at] == '-') {  // NovelAI: 1.2::cat::
    const size_t end = number_end(text, at);
    const size_t close = end > at && text.substr(end).starts_with("::")
                             ? text.substr(0, std::min(text.size(), end + kLongestPiece)).find("::", end + 2)
                             : std::string_view::npos;
    return close == std::string_view::npos ? at : close + 2;
  }
  if (const size_t end = marked_word_end(text, at); end > at) return end;
  for (const std::string_view word : kWords) {
    const size_t end = at + word.size();
    if (rest.starts_with(word) && (end == text.size() || !is_word(text[end])) && stands_out(text, at, end)) return end;
  }
  return at;
}

template <class Wanted>
std::vector<std::string> pieces_in(std::span<const std::string> prompts, const Wanted& wanted) {
  std::vector<std::string> pieces;
  for (const std::string_view prompt : prompts) {
    for (size_t at = 0; at < prompt.size();) {
      const size_t end = piece_end(prompt, at);
      if (end == at) {
        at += prompt[at] == '\\' ? 2 : 1;
        continue;
      }
      const std::string_view piece = prompt.substr(at, end - at);
      at = end;
      if (!wanted(piece)) continue;
      const size_t shown_end = character_begin(piece, std::min(kLongestShown, piece.size()));
      std::string text(piece.substr(0, shown_end));
      if (shown_end < piece.size()) text += "…";
      if (std::find(pieces.begin(), pieces.end(), text) == pieces.end()) pieces.push_back(std::move(text));
      if (pieces.size() > 100) return pieces;
    }
  }
  return pieces;
}

std::string names_of(const std::vector<std::string>& pieces) {
  std::string names;
  for (size_t i = 0; i < std::min(kMostShown, pieces.size()); ++i) names += (i == 0 ? "" : ", ") + shown(pieces[i]);
  if (pieces.size() > kMostShown) names += " and " + std::to_string(pieces.size() - kMostShown) + " more";
  return names;
}

}  // namespace

Message foreign_syntax_in(std::span<const std::string> prompts) {
  const std::vector<std::string> pieces = pieces_in(prompts, [](std::string_view) { return true; });
  if (pieces.empty()) return {};
  Message message{.what = "the prompt holds " + names_of(pieces) +
                          ", which other programs obey and fude draws as plain text. Say it in words, or take " +
                          (pieces.size() == 1 ? "it" : "them") + " out.",
                  .field = Field::prompt};
  const auto chooses = [](const std::string& piece) { return piece.starts_with('{') && piece.find('|') != std::string::npos; };
  if (std::any_of(pieces.begin(), pieces.end(), chooses)) message.remedies.push_back({Remedy::draw_gacha});
  return message;
}

std::string foreign_choices_in(std::span<const std::string> prompts) {
  const auto weighs = [](std::string_view piece) { return piece.starts_with('{') && weighs_choices(piece.substr(1)); };
  const std::vector<std::string> pieces = pieces_in(prompts, weighs);
  if (pieces.empty()) return {};
  return "the prompt holds " + names_of(pieces) +
         ", whose weights and counts other programs obey and fude draws as plain text. All options "
         "come equally often; write one twice to have it twice as often.";
}

}  // namespace fude
