// Timing the cases one by one, and what a machine reaches at best.
#include "engine/bench_ops.h"

#include "engine/bench_cases.h"
#include "engine/stopwatch.h"

namespace fude {

namespace {

// Larger squares until one would take too long.
void measure_products(Stopwatch& stopwatch) {
  constexpr int64_t kLargest = 8192;
  for (int64_t side = 1024; side <= kLargest; side *= 2) {
    const double seconds = stopwatch.time(product(side, side, side)).seconds;
    if (8 * seconds > Patience{}.seconds) break;
  }
}

}  // namespace

OpsReport bench_ops(Device& device, const OpsOptions& options, int64_t width, int64_t height,
                    const std::function<void(const std::string& name, int64_t done, int64_t of)>& starts) {
  const std::vector<BenchCase> cases = bench_cases(width, height, options.dtype);
  const int64_t peaks = device.on_host() ? 2 : 3;
  const int64_t of = peaks + std::ssize(cases);
  int64_t done = 0;
  const auto next = [&](const std::string& name) { starts(name, done++, of); };

  Stopwatch stopwatch(device, options);
  OpsReport report;
  next("matrix products");
  measure_products(stopwatch);
  next("memory");
  stopwatch.time(large_copy());
  if (!device.on_host()) {
    next("upload");
    report.peaks.upload = stopwatch.host_rates().upload;
  }
  for (const BenchCase& item : cases) {
    next(item.name + ' ' + item.shape);
    report.ops.push_back(stopwatch.time(item));
  }
  report.peaks.flops = stopwatch.peaks().flops;
  report.peaks.bytes = stopwatch.peaks().bytes;
  return report;
}

}  // namespace fude
