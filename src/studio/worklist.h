// Which of a session's pictures are still to be drawn.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "session/spec.h"

namespace fude {

class Worklist {
 public:
  explicit Worklist(const SessionSpec& spec);

  // Another count of the same pictures; what is done stays so.
  void recount(const SessionSpec& spec);

  const std::vector<Task>& tasks() const { return tasks_; }
  int64_t count() const { return static_cast<int64_t>(tasks_.size()); }
  void set_done(const Task& task);  // drawn, or skipped
  bool is_done(const Task& task) const { return done_[index_of(task)]; }
  int64_t last_done() const;                           // its number; 0: none is
  double effort_left() const { return effort_left_; }  // see effort_of

  // Of the undone from number `first` on, those that lie together, at most `most`. Empty: there are none.
  std::span<const Task> undone(int64_t first, const std::string& dtype, int64_t most) const;

 private:
  static size_t index_of(const Task& task) { return static_cast<size_t>(task.number - 1); }

  std::vector<Task> tasks_;
  std::vector<bool> done_;
  double effort_left_ = 0;
};

}  // namespace fude
