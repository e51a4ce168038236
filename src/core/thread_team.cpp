// A count of pieces that are left, from which threads take; a bell for those that sleep.
#include "core/thread_team.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "core/system.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace fude {

namespace {

// Between two sections of a step there are some microseconds of other work, and waking a thread costs as many. On a machine
// where others want to run, what a thread looks out for longer is taken from them, and from its own next turn.
constexpr std::chrono::microseconds kLookOut{50};

void pause() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__) && !defined(_MSC_VER)
  asm volatile("yield");
#endif
}

// Where threads wait for a condition. Whoever makes it true rings afterwards; what both look at is atomic and sequentially
// consistent, so that either the ringer sees the sleeper or the sleeper what was made true.
class Bell {
 public:
  template <class Condition>
  void wait(const Condition& holds) {
    for (const auto until = std::chrono::steady_clock::now() + kLookOut; std::chrono::steady_clock::now() < until;)
      for (int i = 0; i < 16; ++i) {
        if (holds()) return;
        pause();
      }
    std::unique_lock lock(mutex_);
    ++sleepers_;
    awake_.wait(lock, holds);
    --sleepers_;
  }
  void ring() {
    if (sleepers_ == 0) return;
    { const std::lock_guard lock(mutex_); }
    awake_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable awake_;
  std::atomic<int> sleepers_ = 0;
};

constexpr size_t kLine = 64;  // bytes of a cache line: what different threads write at the same time is in different ones

}  // namespace

struct ThreadTeam::Crew {
  explicit Crew(int size) {
    threads.reserve(static_cast<size_t>(size - 1));
    try {
      for (int thread = 1; thread < size; ++thread) threads.emplace_back([this, thread] { work(thread); });
    } catch (const std::system_error&) {  // the others do what a thread would do that cannot be made
    }
  }

  ~Crew() {
    ends = true;
    begun.ring();
    for (std::thread& thread : threads) thread.join();
  }

  void work(int thread) {
    for (uint32_t seen = 0; !ends;) {
      take_pieces(thread);
      begun.wait([&] { return sections != seen || ends; });
      seen = sections;
    }
  }

  void take_pieces(int thread) {
    for (int64_t left = untaken; left > 0;) {
      if (!untaken.compare_exchange_weak(left, left - 1)) continue;
      // The section stays the same until this piece is done.
      do_piece(section.n - left, thread);
      if (--unfinished == 0) finished.ring();
      left = untaken;
    }
  }

  void do_piece(int64_t i, int thread) {
    if (failed) return;
    try {
      section.call(section.piece, i, thread);
    } catch (...) {
      if (!failed.exchange(true)) failure = std::current_exception();
    }
  }

  void run(const Section& next) {
    section = next;
    failed = false;
    unfinished = next.n;
    untaken = next.n;
    ++sections;
    begun.ring();
    take_pieces(0);
    finished.wait([&] { return unfinished == 0; });
    if (failed) std::rethrow_exception(std::exchange(failure, nullptr));
  }

  const int64_t process = process_id();
  std::atomic<bool> in_section = false;

  Section section{};
  std::atomic<bool> failed = false;
  std::exception_ptr failure;
  alignas(kLine) std::atomic<int64_t> untaken = 0;
  alignas(kLine) std::atomic<int64_t> unfinished = 0;
  alignas(kLine) std::atomic<uint32_t> sections = 0;  // begun so far
  std::atomic<bool> ends = false;
  Bell begun, finished;
  std::vector<std::thread> threads;
};

ThreadTeam::ThreadTeam(int threads) : size_(threads > 0 ? threads : usable_cores()) {}

ThreadTeam::~ThreadTeam() {
  if (crew_ && crew_->process != process_id()) static_cast<void>(crew_.release());
}

void ThreadTeam::run(const Section& section) {
  // A process that was forked has the memory of its parent's threads, but not the threads: they can only be forgotten.
  if (crew_ && crew_->process != process_id()) static_cast<void>(crew_.release());
  if (!crew_ && size_ > 1 && section.n > 1) crew_ = std::make_unique<Crew>(size_);
  if (section.n <= 1 || size_ == 1 || crew_->in_section.exchange(true)) {
    for (int64_t i = 0; i < section.n; ++i) section.call(section.piece, i, 0);
    return;
  }
  struct Ends {
    ~Ends() { crew.in_section = false; }
    Crew& crew;
  } ends{*crew_};
  crew_->run(section);
}

}  // namespace fude
