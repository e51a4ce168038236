// Spreads residents evenly, and shares out the host's memory.
#include "offload/residency.h"

#include <numeric>
#include <utility>

namespace fude {

Residency::Residency(std::vector<int64_t> bytes) : bytes_(std::move(bytes)), homes_(bytes_.size(), Home::file) {}

void Residency::keep(int64_t resident, int64_t host_bytes) {
  for (int64_t i = 0; i < size(); ++i) {
    Home& home = homes_[static_cast<size_t>(i)];
    // As a line is drawn on a grid: layer i is resident when the running total of `resident` passes a multiple of the count.
    const bool stays = (i + 1) * resident / size() > i * resident / size();
    home = stays ? Home::device : bytes(i) <= host_bytes ? Home::host : Home::file;
    if (home == Home::host) host_bytes -= bytes(i);
  }
}

std::vector<int64_t> Residency::streamed() const {
  std::vector<int64_t> layers;
  for (int64_t i = 0; i < size(); ++i)
    if (home(i) != Home::device) layers.push_back(i);
  return layers;
}

int64_t Residency::bytes() const { return std::accumulate(bytes_.begin(), bytes_.end(), int64_t{0}); }

int64_t Residency::bytes_at(Home home) const {
  int64_t sum = 0;
  for (int64_t i = 0; i < size(); ++i)
    if (this->home(i) == home) sum += bytes(i);
  return sum;
}

}  // namespace fude
