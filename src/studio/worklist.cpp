// Finding the pictures that are not done, and what they will cost.
#include "studio/worklist.h"

#include <algorithm>

namespace fude {

Worklist::Worklist(const SessionSpec& spec) { recount(spec); }

void Worklist::recount(const SessionSpec& spec) {
  tasks_ = tasks_of(spec);
  done_.resize(tasks_.size());
  effort_left_ = 0;
  for (const Task& task : tasks_)
    if (!is_done(task)) effort_left_ += effort_of(task.request);
}

void Worklist::set_done(const Task& task) {
  done_[index_of(task)] = true;
  effort_left_ -= effort_of(task.request);
}

int64_t Worklist::last_done() const { return std::find(done_.rbegin(), done_.rend(), true).base() - done_.begin(); }

std::span<const Task> Worklist::undone(int64_t first, const std::string& dtype, int64_t most) const {
  const auto fits = [&](size_t i) { return !done_[i] && tasks_[i].dtype == dtype; };
  size_t begin = static_cast<size_t>(first - 1);
  while (begin < tasks_.size() && !fits(begin)) ++begin;
  size_t end = begin;
  while (end < tasks_.size() && end - begin < static_cast<size_t>(most) && fits(end)) ++end;
  return std::span(tasks_).subspan(begin, end - begin);
}

}  // namespace fude
