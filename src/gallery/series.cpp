// Grouping cells into series, and wording what they show.
#include "gallery/series.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>

#include "core/characters.h"

namespace fude {
namespace {

int64_t steps_of(const Cell& cell) { return cell.provenance.request.steps.value_or(0); }

int64_t most_steps(const Axis& axis) {
  int64_t most = 0;
  for (const std::string& value : axis.values) {
    int64_t steps = 0;
    std::from_chars(value.data(), value.data() + value.size(), steps);
    most = std::max(most, steps);
  }
  return most;
}

// The first picture from which on none is further than that from the last; none when only the last is.
std::optional<int64_t> settled_after(const Series& series) {
  size_t first = series.cells.size() - 1;
  while (first > 0 && series.changes[first - 1].change < kUnchanged) --first;
  if (first == series.cells.size() - 1) return std::nullopt;
  return steps_of(*series.cells[first]);
}

std::string text_of_steps(int64_t steps) { return std::to_string(steps) + (steps == 1 ? " step" : " steps"); }

std::string text_of_last(const Series& series) {
  return text_of_steps(steps_of(*series.cells.back())) + (series.whole ? "" : ", the most so far");
}

std::string text_of_percent(double part) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", part * 100);
  return text;
}

constexpr int kLongestName = 80;  // of a row: a prompt may be a page long

const std::string kLimit = std::to_string(static_cast<int>(kUnchanged * 100)) + " %";

}  // namespace

std::vector<Series> series_of(const Arrangement& arrangement, std::span<const Cell> cells) {
  const auto found = std::find_if(arrangement.axes.begin(), arrangement.axes.end(),
                                  [](const Axis& axis) { return axis.name == "steps" && axis.values.size() > 1; });
  if (found == arrangement.axes.end()) return {};
  const auto steps = static_cast<size_t>(found - arrangement.axes.begin());
  std::map<std::vector<size_t>, Series> all;  // by the values of the other axes
  for (const Cell& cell : cells) {
    std::vector<size_t> values;
    for (size_t axis = 0; axis < arrangement.axes.size(); ++axis)
      if (axis != steps) values.push_back(value_of(arrangement, axis, cell.number));
    Series& series = all[values];
    series.label = label_of(arrangement, cell.number, {steps});
    series.cells.push_back(&cell);
  }
  std::vector<Series> series;
  for (auto& [values, one] : all) {
    std::stable_sort(one.cells.begin(), one.cells.end(),
                     [](const Cell* a, const Cell* b) { return steps_of(*a) < steps_of(*b); });
    one.whole = steps_of(*one.cells.back()) >= most_steps(*found);
    if (one.cells.size() > 1) series.push_back(std::move(one));
  }
  return series;
}

std::string sentence_about(const Series& series) {
  const std::string last = text_of_last(series);
  if (const std::optional<int64_t> settled = settled_after(series))
    return "After " + text_of_steps(*settled) + " the picture changes by less than " + kLimit + ", compared with " + last + '.';
  const size_t before = series.cells.size() - 2;
  return "From " + text_of_steps(steps_of(*series.cells[before])) + " to " + last + " the picture still changes by " +
         text_of_percent(series.changes[before].change) + '.';
}

std::vector<std::string> sentences_about(std::span<const Series> series) {
  if (series.empty()) return {};
  if (series.size() == 1) return {sentence_about(series[0])};
  size_t settled = 0;
  int64_t latest = 0;
  for (const Series& one : series) {
    if (const std::optional<int64_t> steps = settled_after(one)) {
      ++settled;
      latest = std::max(latest, *steps);
    }
  }
  const std::string all = std::to_string(series.size());
  // The rows' last pictures, where they are of one number of steps; of work under way they may not be.
  const auto most = [](const Series& one) { return steps_of(*one.cells.back()); };
  const bool alike = std::all_of(series.begin(), series.end(), [&](const Series& one) { return most(one) == most(series[0]); });
  const std::string compared =
      ", compared with " + (alike ? text_of_last(series[0]) : "the most steps so far in each row") + '.';
  const std::string rows = settled < series.size() ? "In " + std::to_string(settled) + " of " + all + " rows"
                           : settled == 2          ? "In both rows"
                                                   : "In all " + all + " rows";
  const std::string none = "In none of " + all + " rows has the picture settled: it still changes by " + kLimit + " or more";
  std::vector<std::string> sentences = {
      (settled == 0 ? none : rows + " the picture changes by less than " + kLimit + " after " + text_of_steps(latest)) +
      compared};
  for (const Series& one : series) sentences.push_back(first_characters(one.label, kLongestName) + " — " + sentence_about(one));
  return sentences;
}

}  // namespace fude
