// The CPU's thread team: every piece is done once, whoever does it and however late.
#include "core/thread_team.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

#ifndef _WIN32
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace fude::test {
namespace {

// Counts how often each piece of a section is done.
std::vector<int> done(ThreadTeam& team, int64_t n) {
  std::vector<std::atomic<int>> times(static_cast<size_t>(n));
  team.run(n, [&](int64_t i, int) { ++times[static_cast<size_t>(i)]; });
  return {times.begin(), times.end()};
}

TEST(ThreadTeam, DoesEachPieceOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadTeam team(threads);
    EXPECT_EQ(team.size(), threads);
    for (const int64_t n : {0, 1, 2, 7, 1000}) EXPECT_EQ(done(team, n), std::vector(static_cast<size_t>(n), 1)) << threads;
  }
}

TEST(ThreadTeam, DoesThousandsOfShortSections) {
  ThreadTeam team(4);
  std::vector<int64_t> values(64, 0);
  for (int section = 0; section < 20'000; ++section) team.run(64, [&](int64_t i, int) { values[static_cast<size_t>(i)] += i; });
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(values[i], 20'000 * static_cast<int64_t>(i));
}

TEST(ThreadTeam, WakesThreadsThatSleep) {
  ThreadTeam team(3);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(done(team, 50), std::vector(50, 1));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

TEST(ThreadTeam, GivesEachRunningPieceAThreadOfItsOwn) {
  ThreadTeam team(4);
  std::vector<std::atomic<int>> at_work(4);
  std::atomic<bool> shared = false;
  for (int section = 0; section < 200; ++section)
    team.run(40, [&](int64_t, int thread) {
      if (at_work[static_cast<size_t>(thread)]++ > 0) shared = true;
      --at_work[static_cast<size_t>(thread)];
    });
  EXPECT_FALSE(shared);
}

// Two pieces meet: so both have begun before either ends.
TEST(ThreadTeam, WorksOnSeveralPiecesAtOnce) {
  ThreadTeam team(2);
  std::mutex mutex;
  std::condition_variable changed;
  int here = 0;
  team.run(2, [&](int64_t, int) {
    std::unique_lock lock(mutex);
    ++here;
    changed.notify_all();
    changed.wait(lock, [&] { return here == 2; });
  });
  EXPECT_EQ(here, 2);
}

// One piece of two threads is held up until all the others are done, which no other way than one by one they can be.
TEST(ThreadTeam, IsNotHeldUpByAThreadThatLostItsTurn) {
  ThreadTeam team(2);
  constexpr int64_t kPieces = 100;
  std::mutex mutex;
  std::condition_variable changed;
  int64_t others = 0;
  team.run(kPieces, [&](int64_t i, int) {
    std::unique_lock lock(mutex);
    if (i == 3) return changed.wait(lock, [&] { return others == kPieces - 1; });
    ++others;
    changed.notify_all();
  });
  EXPECT_EQ(others, kPieces - 1);
}

TEST(ThreadTeam, MakesRangesWithoutGaps) {
  for (const int threads : {1, 2, 5})
    for (const int64_t n : {0, 1, 3, 64, 1001}) {
      ThreadTeam team(threads);
      std::vector<std::atomic<int>> times(static_cast<size_t>(n));
      std::mutex mutex;
      std::vector<std::pair<int64_t, int64_t>> ranges;
      team.run_ranges(n, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) ++times[static_cast<size_t>(i)];
        const std::lock_guard lock(mutex);
        ranges.emplace_back(begin, end);
      });
      EXPECT_EQ(std::vector<int>(times.begin(), times.end()), std::vector(static_cast<size_t>(n), 1));
      EXPECT_LE(std::ssize(ranges), ThreadTeam::kPieces * threads);
    }
}

TEST(ThreadTeam, RunsWhatIsNestedInItsPieces) {
  ThreadTeam team(3), other(2);
  std::atomic<int64_t> sum = 0;
  team.run(10, [&](int64_t i, int) { team.run(10, [&](int64_t j, int) { sum += 10 * i + j; }); });
  EXPECT_EQ(sum, 99 * 100 / 2);
  team.run(1, [&](int64_t, int) { other.run(10, [&](int64_t j, int) { sum += j; }); });
  EXPECT_EQ(sum, 99 * 100 / 2 + 45);
}

TEST(ThreadTeam, ServesOneThreadAfterTheOther) {
  auto team = std::make_unique<ThreadTeam>(3);
  for (int i = 0; i < 10; ++i) std::thread([&] { EXPECT_EQ(done(*team, 30), std::vector(30, 1)); }).join();
  std::thread([&] { team.reset(); }).join();
}

TEST(ThreadTeam, KnowsNothingOfOtherTeams) {
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 3; ++caller)
    callers.emplace_back([] {
      ThreadTeam team(3);
      for (int section = 0; section < 500; ++section) EXPECT_EQ(done(team, 20), std::vector(20, 1));
    });
  for (std::thread& caller : callers) caller.join();
}

TEST(ThreadTeam, PassesAFailureOnAndGoesOn) {
  ThreadTeam team(3);
  for (int i = 0; i < 50; ++i) {
    EXPECT_THROW(team.run(20,
                          [](int64_t piece, int) {
                            if (piece % 2) throw std::runtime_error("no");
                          }),
                 std::runtime_error);
    EXPECT_EQ(done(team, 20), std::vector(20, 1));
  }
}

TEST(ThreadTeam, IsMadeAndGoneWithoutWork) {
  for (int i = 0; i < 100; ++i) ThreadTeam team(4);
  for (int i = 0; i < 100; ++i) {
    ThreadTeam team(4);
    team.run(2, [](int64_t, int) {});
  }
}

TEST(ThreadTeam, HelpsTheHostsOtherWork) {
  std::vector<std::atomic<int>> times(500);
  on_all_cores(500, [&](int64_t i) { ++times[static_cast<size_t>(i)]; });
  EXPECT_EQ(std::vector<int>(times.begin(), times.end()), std::vector(500, 1));
  on_all_cores(0, [](int64_t) { FAIL(); });
}

#if !defined(_WIN32) && !defined(__SANITIZE_THREAD__)  // ThreadSanitizer does not follow a fork
// A process that is forked has none of the threads that its parent had.
TEST(ThreadTeam, WorksInAProcessThatWasForked) {
  auto team = std::make_unique<ThreadTeam>(3);
  EXPECT_EQ(done(*team, 30), std::vector(30, 1));
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    const bool right = done(*team, 30) == std::vector(30, 1) && done(*team, 30) == std::vector(30, 1);
    team.reset();
    ThreadTeam another(3);
    _exit(right && done(another, 30) == std::vector(30, 1) ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(done(*team, 30), std::vector(30, 1));
}
#endif

}  // namespace
}  // namespace fude::test
