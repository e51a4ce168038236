// Work of the host's cores that is no operation of a device, such as noise and PNGs: in threads of their own, since whoever
// waits for it may be a device's thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <future>
#include <thread>
#include <vector>

namespace fude {

// Calls each(i) for 0 to n − 1 on the cores there are. What a thread would do that cannot be made, the caller's does.
template <class Each>
void on_all_cores(int64_t n, const Each& each) {
  const int64_t threads = std::clamp<int64_t>(std::thread::hardware_concurrency(), 1, std::max<int64_t>(1, n));
  const auto share = [&](int64_t first) {
    for (int64_t i = first; i < n; i += threads) each(i);
  };
  std::vector<std::future<void>> others;
  for (int64_t thread = 1; thread < threads; ++thread) others.push_back(std::async(share, thread));
  share(0);
  for (std::future<void>& other : others) other.get();
}

}  // namespace fude
