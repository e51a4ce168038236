// Times operations on a device: each many times over, until its time is known well enough.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "core/ops.h"
#include "engine/bench_cases.h"
#include "fude/fude.h"

namespace fude {

// When a time is known well enough: after so many rounds that took so long together. Which of them is meant: 0.5 is the median,
// 0 the fastest, which other programs disturbed least.
struct Patience {
  size_t rounds = 3;
  double seconds = 0.15;
  double quantile = 0.5;
};

class Stopwatch {
 public:
  // `room`: bytes that a case may take.
  Stopwatch(Device& device, const OpsOptions& options, Patience patience = {},
            int64_t room = std::numeric_limits<int64_t>::max())
      : device_(device), options_(options), patience_(patience), room_(room) {}

  // Times a case and raises the peak it comes up to. Error{cancelled, out_of_memory}.
  Timing time(const BenchCase& item);
  bool fits(const BenchCase& item);
  const BenchPeaks& peaks() const { return peaks_; }

  // Bytes a second of a model's weights that go to the device one after the other, with reading them from the system's cache:
  // as many as take a moment when they are read for the first time.
  double load_rate(const WeightShape& shape, std::span<const ReadRows> weights);
  // Bytes a second to new memory of the host that a card copies from, where reading files takes no longer than copying what
  // they hold, and from there to the card.
  struct HostRates {
    double load, upload;
  };
  HostRates host_rates();

 private:
  int64_t available() const { return std::min(room_, device_.device_memory().available); }
  int64_t measure(const BenchCase& item, double& flops);
  int64_t passes_in_a_round(const BenchCase& item, double flops, double first) const;
  double seconds_of_round(int warm_up, const std::function<void()>& work) const;

  Device& device_;
  const OpsOptions options_;
  const Patience patience_;
  const int64_t room_;
  const BenchNumbers numbers_;
  BenchPeaks peaks_;
};

double quantile(std::vector<double> values, double part);  // of at least one; 0.5: the median

}  // namespace fude
