// How far many pictures are: one bar for all of them on a terminal, one line for each finished one elsewhere.
#pragma once

#include <chrono>
#include <mutex>
#include <string>

#include "console.h"
#include "fude/fude.h"
#include "studio/reporter.h"

namespace fude {

// Pictures may be reported from another thread than steps.
class CellProgress {
 public:
  // noun: what a picture is called, "cell" or "candidate".
  CellProgress(const Console& console, std::string noun);
  ~CellProgress() { clear(); }
  CellProgress(const CellProgress&) = delete;
  CellProgress& operator=(const CellProgress&) = delete;

  void begin(const Upcoming& picture);    // that is drawn from now on
  void update(const Progress& progress);  // of this picture
  void finished(const FinishedPicture& picture);
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
  Upcoming picture_;
  Progress now_;
  bool drawn_ = false;
  Clock::time_point last_drawn_;
};

}  // namespace fude
