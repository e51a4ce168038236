// Parsing ranges with exact decimal arithmetic.
#include "session/ranges.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include "fude/error.h"
#include "weights/quote.h"

namespace fude {
namespace {

constexpr int kMostDecimals = 9;
constexpr int64_t kLargestInteger = 1000000000;  // of any option but the seed

[[noreturn]] void refuse(std::string_view option, std::string_view text, const std::string& what) {
  throw Error(Code::bad_request, std::string(option) + ' ' + shown(text) + ' ' + what);
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// The pieces between commas; none of them is empty.
std::vector<std::string_view> pieces_of(std::string_view option, std::string_view text) {
  std::vector<std::string_view> pieces;
  for (std::string_view left = text;;) {
    const size_t comma = std::min(left.find(','), left.size());
    pieces.push_back(trimmed(left.substr(0, comma)));
    if (pieces.back().empty()) {
      refuse(option, text,
             trimmed(text).empty() ? "names no value. Leave the option out, or give a value."
                                   : "has a comma without a value beside it. Write it like 5,10,20.");
    }
    if (comma == left.size()) return pieces;
    left.remove_prefix(comma + 1);
  }
}

// A number as digits times a power of ten, so that steps add up exactly. Seeds need all 64 bits, so the sign is separate.
struct Decimal {
  bool negative = false;
  uint64_t digits = 0;
  int decimals = 0;  // digits after the decimal point
};

std::optional<Decimal> decimal_from(std::string_view text) {
  Decimal number;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    number.negative = text[0] == '-';
    text.remove_prefix(1);
  }
  bool any = false, behind_point = false;
  for (const char c : text) {
    if (c == '.' && any && !behind_point) {
      behind_point = true;
      continue;
    }
    if (c < '0' || c > '9') return std::nullopt;
    const auto digit = static_cast<uint64_t>(c - '0');
    if (number.digits > (std::numeric_limits<uint64_t>::max() - digit) / 10) return std::nullopt;
    number.digits = number.digits * 10 + digit;
    if (behind_point && ++number.decimals > kMostDecimals) return std::nullopt;
    any = true;
  }
  if (number.digits == 0) number.negative = false;
  return any ? std::optional(number) : std::nullopt;
}

// As a multiple of 10^-decimals.
std::optional<int64_t> scaled(const Decimal& number, int decimals) {
  uint64_t digits = number.digits;
  for (int i = number.decimals; i < decimals; ++i) {
    if (digits > uint64_t{std::numeric_limits<int64_t>::max()} / 10) return std::nullopt;
    digits *= 10;
  }
  if (digits > uint64_t{std::numeric_limits<int64_t>::max()}) return std::nullopt;
  return number.negative ? -static_cast<int64_t>(digits) : static_cast<int64_t>(digits);
}

double double_of(int64_t number, int decimals) {
  std::string text = std::to_string(number) + 'e' + std::to_string(-decimals);
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// How many values first..last:step has. Refuses ranges that run backward, never end or are too long.
uint64_t length_of(std::string_view option, std::string_view text, bool backward, uint64_t distance, uint64_t step) {
  if (step == 0) refuse(option, text, "never ends, since its step is 0. Give a step above 0, such as 20..70:10.");
  if (backward) refuse(option, text, "is empty: it runs backwards. Write the smaller number first, such as 20..70:10.");
  if (distance / step >= uint64_t{kMostValues})
    refuse(option, text, "has more than " + std::to_string(kMostValues) + " values. Take a larger step.");
  return distance / step + 1;
}

template <class Value>
std::vector<Value> once(const std::vector<Value>& values, size_t* repeats) {
  std::vector<Value> each = without_repeats(values);
  if (repeats) *repeats += values.size() - each.size();
  return each;
}

struct Range {
  std::string_view first, last, step;
};

std::optional<Range> range_in(std::string_view piece) {
  const size_t dots = piece.find("..");
  if (dots == std::string_view::npos) return std::nullopt;
  const size_t colon = std::min(piece.find(':', dots), piece.size());
  return Range{trimmed(piece.substr(0, dots)), trimmed(piece.substr(dots + 2, colon - dots - 2)),
               colon == piece.size() ? "1" : trimmed(piece.substr(colon + 1))};
}

void check_count(std::string_view option, std::string_view text, size_t count) {
  if (count > static_cast<size_t>(kMostValues))
    refuse(option, text.substr(0, 40), "has more than " + std::to_string(kMostValues) + " values. Give fewer.");
}

}  // namespace

std::vector<uint64_t> seeds_in(std::string_view option, std::string_view text, size_t* repeats) {
  const auto seed_from = [&](std::string_view part) {
    uint64_t seed = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), seed);
    if (error != std::errc() || end != part.data() + part.size())
      refuse(option, part,
             "is not a whole number from 0 to 18446744073709551615. Write it like 42 or 1..8; random, or -1, stands alone.");
    return seed;
  };
  std::vector<uint64_t> seeds;
  for (const std::string_view piece : pieces_of(option, text)) {
    const std::optional<Range> range = range_in(piece);
    if (!range) {
      seeds.push_back(seed_from(piece));
    } else {
      const uint64_t first = seed_from(range->first);
      const uint64_t last = seed_from(range->last);
      const uint64_t step = seed_from(range->step);
      const uint64_t length = length_of(option, piece, first > last, last - first, step);
      for (uint64_t i = 0; i < length; ++i) seeds.push_back(first + i * step);
    }
    check_count(option, text, seeds.size());
  }
  return once(seeds, repeats);
}

std::vector<double> numbers_in(std::string_view option, std::string_view text, size_t* repeats) {
  std::vector<double> numbers;
  const auto decimal = [&](std::string_view part) {
    const std::optional<Decimal> number = decimal_from(part);
    if (!number)
      refuse(option, part,
             "is not a number with at most " + std::to_string(kMostDecimals) +
                 " decimals. Write it in digits, such as 4.5, or as a range, such as 1..7:0.5.");
    return *number;
  };
  for (const std::string_view piece : pieces_of(option, text)) {
    const std::optional<Range> range = range_in(piece);
    const Decimal first = decimal(range ? range->first : piece);
    const Decimal last = range ? decimal(range->last) : first;
    const Decimal step = range ? decimal(range->step) : Decimal{false, 1, 0};
    const int decimals = std::max({first.decimals, last.decimals, step.decimals});
    const std::optional<int64_t> from = scaled(first, decimals);
    const std::optional<int64_t> to = scaled(last, decimals);
    const std::optional<int64_t> by = scaled(step, decimals);
    constexpr int64_t kHalf = std::numeric_limits<int64_t>::max() / 2;  // so that a distance fits too
    if (!from || !to || !by || std::max({std::abs(*from), std::abs(*to), std::abs(*by)}) > kHalf)
      refuse(option, piece, "is too large or too exact. Give fewer digits.");
    if (*by < 0) refuse(option, piece, "has a step below 0. Give a step above 0, such as 1..7:0.5.");
    const uint64_t length = length_of(option, piece, *from > *to, static_cast<uint64_t>(*to) - static_cast<uint64_t>(*from),
                                      static_cast<uint64_t>(*by));
    for (uint64_t i = 0; i < length; ++i) numbers.push_back(double_of(*from + static_cast<int64_t>(i) * *by, decimals));
    check_count(option, text, numbers.size());
  }
  return once(numbers, repeats);
}

std::vector<int64_t> integers_in(std::string_view option, std::string_view text, size_t* repeats) {
  std::vector<int64_t> integers;
  for (const double number : numbers_in(option, text, repeats)) {
    const bool whole = number >= -double{kLargestInteger} && number <= double{kLargestInteger} &&
                       number == static_cast<double>(static_cast<int64_t>(number));
    if (!whole) refuse(option, text, "has a value that is no whole number. Write it in digits, such as 5,10,20..70:10.");
    integers.push_back(static_cast<int64_t>(number));
  }
  return integers;
}

Size size_in(std::string_view option, std::string_view text) {
  constexpr std::string_view kSigns[] = {"x", "X", "×"};
  std::string_view width = text, height = text;
  for (const std::string_view sign : kSigns) {
    const size_t at = text.find(sign);
    if (at == std::string_view::npos) continue;
    width = text.substr(0, at);
    height = text.substr(at + sign.size());
    break;
  }
  Size size;
  for (const auto& [side, part] : {std::pair{&size.width, width}, std::pair{&size.height, height}}) {
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), *side);
    if (error != std::errc() || end != part.data() + part.size())
      refuse(option, text, "is not a size. Write width x height in pixels, such as 768x512.");
  }
  return size;
}

std::vector<Size> sizes_in(std::string_view option, std::string_view text, size_t* repeats) {
  std::vector<std::pair<int64_t, int64_t>> sides;
  for (const std::string_view piece : pieces_of(option, text)) {
    const Size size = size_in(option, piece);
    for (const int64_t side : {size.width, size.height})
      if (side < 16 || side % 16 != 0) refuse(option, piece, "is not in steps of 16 pixels. Write it like 512x512,768x512.");
    sides.emplace_back(size.width, size.height);
  }
  check_count(option, text, sides.size());
  std::vector<Size> sizes;
  for (const auto& [width, height] : once(sides, repeats)) sizes.push_back({width, height});
  return sizes;
}

std::vector<std::string> names_in(std::string_view option, std::string_view text, size_t* repeats) {
  std::vector<std::string> names;
  for (const std::string_view piece : pieces_of(option, text)) names.emplace_back(piece);
  check_count(option, text, names.size());
  return once(names, repeats);
}

}  // namespace fude
