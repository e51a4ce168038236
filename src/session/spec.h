// What a sweep or a gacha draws: all that is needed to begin with it, and to go on with it in another process.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fude/fude.h"

namespace fude {

inline constexpr std::string_view kSweep = "sweep", kGacha = "gacha";
inline constexpr int64_t kMostCandidatesInARow = 8;
inline constexpr double kMostMinutes = 7 * 24 * 60;

struct SessionSpec {
  std::string kind;      // kSweep, kGacha
  std::string created;   // "2026-11-24T22:51:07"
  ModelFiles files;      // absolute paths, or the model's id
  EngineOptions engine;  // of which device, dtype and threads are kept
  std::string model_hash;
  std::vector<std::string> dtypes;  // of a sweep: its outermost axis, or empty

  // A sweep draws every combination. A gacha draws pictures of its request's seed and those that follow; its prompts (at least
  // one) may hold choices, and row by row `in_a_row` candidates get the same one.
  Grid grid;
  int64_t count = 0;     // of a gacha
  int64_t in_a_row = 1;  // of a gacha
  double minutes = 0;    // of a gacha: count is what fits into this time; 0: count is what was asked for
};

// A picture of the spec.
struct Task {
  int64_t number = 1;  // from 1
  std::string dtype;
  Request request;  // of one picture
};

// Error{bad_request} when they are more than fude numbers.
int64_t count_of(const SessionSpec& spec);
// In the order in which they are drawn. Error{bad_request}.
std::vector<Task> tasks_of(const SessionSpec& spec);

// Tasks that are drawn by one request of several pictures: only of a gacha, whose pictures differ in nothing but their seeds.
struct Batch {
  Request request;
  std::span<const Task> tasks;
};
// The next of the tasks at `tasks`, which are to be drawn all; at most `most` of them.
Batch next_batch(const SessionSpec& spec, std::span<const Task> tasks, int64_t most);

// How long in a row one prompt is drawn, so that pictures can be drawn at once and yet every combination comes.
int64_t candidates_in_a_row(uint64_t combinations, int64_t count);

// Of a spec with a time: how many pictures there will be when `drawn` are, one takes `each` seconds and so many are left. At
// least one.
int64_t count_in_time(int64_t drawn, double left, double each);

// What drawing a picture of a complete request costs, in a unit of no meaning: steps and pixels, twice where guidance is on.
double effort_of(const Request& request);
// Bytes on the disk, about.
int64_t bytes_of(const SessionSpec& spec, const Request& request);

std::string text_from(const SessionSpec& spec);
// Error{bad_request} when it is not what text_from writes, in whatever way; `where` names the file.
SessionSpec spec_from(std::string_view text, const std::string& where);

}  // namespace fude
