// How far many pictures are: one bar for all of them on a terminal, one line for each finished one elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

#include "console.h"
#include "fude/fude.h"

namespace fude {

// What a picture of this effort (see session/spec.h) takes, learned from those that were drawn.
class Pace {
 public:
  void learn(double effort, double seconds) { effort_ += effort, seconds_ += seconds; }
  bool known() const { return effort_ > 0; }
  double seconds_of(double effort) const { return known() ? effort * seconds_ / effort_ : 0; }

 private:
  double effort_ = 0, seconds_ = 0;
};

// Pictures may be reported from another thread than steps.
class CellProgress {
 public:
  // noun: what a picture is called, "cell" or "candidate".
  CellProgress(const Console& console, std::string noun);
  ~CellProgress() { clear(); }
  CellProgress(const CellProgress&) = delete;
  CellProgress& operator=(const CellProgress&) = delete;

  // Of all pictures, and of those that come after this one; 0: unknown.
  void set_extent(int64_t pictures, double seconds_left);
  // The picture that is drawn from now on; seconds: how long it will take, 0: unknown.
  void begin(int64_t number, const std::string& label, double seconds);
  void update(const Progress& progress);  // of this picture
  void finished(int64_t number, const std::string& label, double seconds, const std::string& file);
  void clear();  // takes the bar off its line, before anything else is written there

 private:
  using Clock = std::chrono::steady_clock;

  void draw();
  void take_off();
  std::string text(int width) const;

  const Console& console_;
  const std::string noun_;
  const bool in_terminal_;
  const bool unicode_;
  std::mutex mutex_;
  int64_t pictures_ = 0, number_ = 0;
  double seconds_left_ = 0, seconds_ = 0;
  std::string label_;
  Progress now_;
  bool drawn_ = false;
  Clock::time_point last_drawn_;
};

}  // namespace fude
