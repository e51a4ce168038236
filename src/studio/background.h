// Work that is done one piece after the other while something else goes on: saving a picture while the next is drawn.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace fude {

class Background {
 public:
  static constexpr size_t kMostWaiting = 4;

  Background();
  ~Background();  // does what is left, unless a piece failed
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // Waits while so many pieces are left, or several. Throws what an earlier piece threw; no piece is done after one that
  // failed.
  void add(std::function<void()> piece, size_t most_waiting = kMostWaiting);
  bool has_more();         // pieces besides the one that is done now
  void check();            // throws what a piece threw
  void wait();             // until all is done; then as check
  void settle() noexcept;  // until all is done or a piece has failed

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> pieces_;
  std::exception_ptr failure_;
  bool busy_ = false, ends_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace fude
