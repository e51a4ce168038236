// One thread, a short queue, and the first failure for whoever comes next.
#include "studio/background.h"

#include <algorithm>
#include <utility>

namespace fude {

Background::Background() : thread_([this] { work(); }) {}

Background::~Background() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Background::add(std::function<void()> piece, size_t most_waiting) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return pieces_.size() < std::min(most_waiting, kMostWaiting) || failure_; });
  if (failure_) std::rethrow_exception(failure_);
  pieces_.push_back(std::move(piece));
  changed_.notify_all();
}

bool Background::has_more() {
  const std::lock_guard lock(mutex_);
  return !pieces_.empty();
}

void Background::check() {
  const std::lock_guard lock(mutex_);
  if (failure_) std::rethrow_exception(failure_);
}

void Background::settle() noexcept {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return pieces_.empty() && !busy_; });
}

void Background::wait() {
  settle();
  check();
}

void Background::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return ends_ || !pieces_.empty(); });
    if (pieces_.empty()) return;
    const std::function<void()> piece = std::move(pieces_.front());
    pieces_.pop_front();
    busy_ = true;
    lock.unlock();
    std::exception_ptr failure;
    try {
      piece();
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    busy_ = false;
    if (failure) {
      failure_ = failure;
      pieces_.clear();
    }
    changed_.notify_all();
  }
}

}  // namespace fude
