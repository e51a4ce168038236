// What a sweep or a gacha draws: all that is needed to start it, and to resume it in another process.
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
  EngineOptions engine;  // only device, dtype and threads are stored
  std::string model_hash;
  std::vector<std::string> dtypes;  // of a sweep: its outermost axis, or empty

  // A sweep draws every combination. A gacha draws pictures of its request's seed and those that follow; its prompts (at least
  // one) may hold choices, and `in_a_row` candidates in a row get the same one.
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

// Tasks drawn by one request of several pictures: only in a gacha, whose pictures differ only in their seeds.
struct Batch {
  Request request;
  std::span<const Task> tasks;
};
// The next batch: the first of `tasks`, at most `most`.
Batch next_batch(const SessionSpec& spec, std::span<const Task> tasks, int64_t most);

// How many candidates in a row share a prompt: enough to draw them as a batch, few enough that every combination comes.
int64_t candidates_in_a_row(uint64_t combinations, int64_t count);

// For a spec with a time limit: the total number of pictures when `drawn` are done, `left` seconds remain and each takes `each`
// seconds. At least one.
int64_t count_in_time(int64_t drawn, double left, double each);

// The relative cost of drawing a complete request, without a unit: steps × pixels, doubled with guidance.
double effort_of(const Request& request);
// Bytes on the disk, about.
int64_t bytes_of(const SessionSpec& spec, const Request& request);

std::string text_from(const SessionSpec& spec);
// Error{bad_request} unless it is what text_from writes; `where` names the file.
SessionSpec spec_from(std::string_view text, const std::string& where);

}  // namespace fude
