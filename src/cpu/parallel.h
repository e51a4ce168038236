// The parallel loops: the only file that names OpenMP.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>

namespace fude::cpu {

// f(begin, end) over [0, n), one contiguous piece for each thread; a single piece runs on the calling thread.
template <class F>
void parallel_ranges(int threads, int64_t n, F f) {
  const int64_t pieces = std::min<int64_t>(threads, n);
  if (pieces <= 1) {
    if (n > 0) f(int64_t{0}, n);
    return;
  }
#pragma omp parallel for num_threads(static_cast <int>(pieces)) schedule(static, 1)
  for (int64_t i = 0; i < pieces; ++i) f(n * i / pieces, n * (i + 1) / pieces);
}

// f(i, thread) for each i of [0, n), handed out one by one; thread < threads.
template <class F>
void parallel_tasks(int threads, int64_t n, F f) {
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (int64_t i = 0; i < n; ++i) f(i, omp_get_thread_num());
}

}  // namespace fude::cpu
