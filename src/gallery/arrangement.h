// Many pictures that were asked for together, drawn or not: what a contact sheet and a report lay out.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "fude/fude.h"

namespace fude {

// What differs between pictures. The name is the option's: "steps", "guidance", "seed", "shift", "size", "dtype", "sampler",
// "schedule", "negative", "prompt".
struct Axis {
  std::string name;
  std::vector<std::string> values;  // bare, as people type them: "30", "7", "768x512"
};

struct Arrangement {
  std::string title;  // what is drawn: the prompt; empty where pictures have different ones
  std::vector<std::string>
      lines;               // what all pictures share: "30 steps · guidance 7 · 512×512", "stable-diffusion-3.5-medium, bf16"
  std::vector<Axis> axes;  // every combination is a picture, the last axis changing fastest; none: a numbered flow
  std::vector<std::string> choices;  // of a flow: what was chosen for each picture, "puppy · snow"; empty: there was no choice
  bool candidates = false;           // of a gacha, which fude refine knows by their numbers; others by their files
  int64_t count = 0;                 // pictures in all: without axes their number, else the product of the axes' lengths
  Size size;                         // pixels of the largest picture
};

// "30 steps", "guidance 7"; of prompts the text itself.
std::string label_of(const Axis& axis, size_t value);

// Which of the axis's values the cell of this number has.
size_t value_of(const Arrangement& arrangement, size_t axis, int64_t number);

// The caption that distinguishes the cell: the values of its axes, "guidance 7 · 30 steps", without some of them if need be; in
// a flow what was chosen for it, or nothing.
std::string label_of(const Arrangement& arrangement, int64_t number, std::initializer_list<std::optional<size_t>> without = {});

// One axis across, one down: across goes steps where it varies, because that is what people compare, else the last axis.
struct Table {
  std::string heading;                        // the values of all further axes; empty when there are none
  std::vector<std::string> columns, rows;     // labels; empty where there is no such axis
  std::vector<std::vector<int64_t>> numbers;  // of the cells: [row][column], at least one of each
};
// Empty without axes; more than one when there are more than two axes.
std::vector<Table> tables_of(const Arrangement& arrangement);

}  // namespace fude
