// A team of threads for work that comes in short pieces: hundreds of sections a step, each of some microseconds.
//
// A section is a number of pieces. Whoever has time takes the next one, so a thread that lost its turn to another program holds
// up nothing but the piece it had begun. Threads without work look out for the next section for a moment, then they sleep.
// Nothing here is common to the process: teams do not know of each other.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>

#include "core/system.h"

namespace fude {

class ThreadTeam {
 public:
  // threads: how many work at once, the one that calls `run` among them; 0: usable_cores(). The first section starts them.
  explicit ThreadTeam(int threads = 0);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int size() const { return size_; }

  // piece(i, thread) for each i of [0, n); two pieces that run at once have different threads of [0, size()). Returns when all
  // are done, and rethrows what the first one threw that failed; pieces that had not begun by then are left out. Any one thread
  // at a time may call it, also in a process forked since; called from within a piece it runs on the thread of that piece.
  template <class Piece>
  void run(int64_t n, const Piece& piece) {
    run({[](const void* of, int64_t i, int thread) { (*static_cast<const Piece*>(of))(i, thread); }, &piece, n});
  }

  // ranges(begin, end) of [0, n) without gaps, whose limits depend on n and size() only.
  template <class Range>
  void run_ranges(int64_t n, const Range& range) {
    const int64_t pieces = std::min(n, kPieces * size_);
    run(pieces, [&](int64_t i, int) { range(n * i / pieces, n * (i + 1) / pieces); });
  }

  // Pieces a thread into which work is best split: what remains of one that a thread could not finish is small, and taking
  // them costs little.
  static constexpr int64_t kPieces = 4;

 private:
  struct Section {
    void (*call)(const void* piece, int64_t i, int thread);
    const void* piece;
    int64_t n;
  };
  struct Crew;  // the threads, and what they share

  void run(const Section& section);

  const int size_;
  std::unique_ptr<Crew> crew_;
};

// each(i) for each i of [0, n) on all cores: for work of the host that is no operation of a device, such as noise and PNGs.
// Whoever waits for it may be a device's thread, so it has threads of its own.
template <class Each>
void on_all_cores(int64_t n, const Each& each) {
  ThreadTeam team(static_cast<int>(std::clamp<int64_t>(n, 1, usable_cores())));
  team.run(n, [&](int64_t i, int) { each(i); });
}

}  // namespace fude
