// How far a request is: a bar on a terminal, one line per finished stage elsewhere.
#pragma once

#include <chrono>
#include <string>

#include "console.h"
#include "fude/fude.h"

namespace fude {

// A bar of so many columns, `part` of it full.
std::string bar_text(double part, int columns, bool unicode, bool color);

class ProgressBar {
 public:
  explicit ProgressBar(const Console& console);
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void update(const Progress& progress);
  void finish();  // the last stage is over
  void clear();   // takes the bar off its line, before anything else is written there

 private:
  using Clock = std::chrono::steady_clock;

  void draw();
  std::string text(int width) const;
  std::string summary() const;
  double seconds_per_step() const;

  const Console& console_;
  const bool in_terminal_;
  const bool unicode_;
  Progress now_;
  bool started_ = false;
  bool drawn_ = false;
  Clock::time_point stage_began_;
  Clock::time_point last_step_;  // when the latest step was finished
  Clock::time_point last_drawn_;
};

}  // namespace fude
