// After how many steps does a picture stop changing? Cells that differ in their steps alone, compared with the one that has
// most.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gallery/arrangement.h"
#include "gallery/cell.h"
#include "gallery/difference.h"

namespace fude {

inline constexpr double kUnchanged = 0.02;  // a change below it is one that people call none

struct Series {
  std::string label;                // the values of the other axes; empty when there are none
  std::vector<const Cell*> cells;   // by rising steps; the last is what the others are compared with
  std::vector<Difference> changes;  // of each to the last
  bool whole = false;               // the most steps of the arrangement are among them
};

// Those that have two pictures or more; none without an axis of steps. `changes` stays empty.
std::vector<Series> series_of(const Arrangement& arrangement, std::span<const Cell> cells);

// "After 28 steps the picture changes by less than 2 %, compared with 50 steps."
std::string sentence_about(const Series& series);

// The sentence of a single series; of more, first one about all of them. Empty without series.
std::vector<std::string> sentences_about(std::span<const Series> series);

}  // namespace fude
