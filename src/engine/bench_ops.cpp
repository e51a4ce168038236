#include "engine/bench_ops.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>

#include "engine/bench_cases.h"
#include "fude/error.h"

namespace fude {

namespace {

// A round of calls ends with a wait for the device, whose few microseconds must not count.
constexpr double kRoundSeconds = 2e-3;
constexpr double kEnoughSeconds = 0.15;
constexpr size_t kFewestRounds = 3;
constexpr double kMostPasses = 1000;

class Stopwatch {
 public:
  explicit Stopwatch(Backend& op) : op_(op), inputs_(op) {}

  // Times a case and raises the peak it comes up to.
  Timing time(const BenchCase& item, BenchPeaks& peaks) {
    double flops = 0;
    const Buffer memory = op_.allocate(measure(item, flops));
    Arena arena(memory);
    op_.use(arena);
    const Tensor last = marker();
    const BenchCase::Call call = item.prepare(inputs_);

    const int64_t passes = passes_in_a_round(item, flops, peaks);
    std::unique_ptr<Recording> recording;  // a card replays a round, so that launching it costs nothing
    const double seconds = median_of_rounds(op_.on_host() ? 1 : 2, last, [&] {
      op_.play(recording, [&] {
        for (int64_t i = 0; i < passes; ++i) pass(item, call);
      });
    });
    const Timing timing{item.name, item.shape, seconds / static_cast<double>(passes * item.copies), flops, static_cast<double>(item.bytes)};
    peaks.flops = std::max(peaks.flops, timing.flops / timing.seconds);
    peaks.bytes = std::max(peaks.bytes, timing.bytes / timing.seconds);
    return timing;
  }

  // Bytes a second of weights that go from the host's memory to the device, as those of a model do.
  double upload_rate() {
    constexpr WeightShape kShape{.out = 8192, .in = 8192};
    const DType dtype = op_.dtype();
    const int64_t bytes = op_.packed_bytes(kShape, dtype), row = kShape.row() * size_of(dtype);
    const Buffer host = host_buffer(kShape.out * row), weight = op_.allocate(bytes), few = op_.allocate(Arena::kAlignment);
    std::memset(host.data(), 0, static_cast<size_t>(host.size()));
    Arena arena(few);
    op_.use(arena);
    const ReadRows read = [&](int64_t begin, int64_t end, DType, void* rows) {
      std::memcpy(rows, host.data() + begin * row, static_cast<size_t>((end - begin) * row));
    };
    const Tensor last = marker();
    return static_cast<double>(bytes) / median_of_rounds(1, last, [&] {
      op_.pack(kShape, dtype, read, weight.data());
      op_.await_packed();
    });
  }

 private:
  // Reading it back waits for all the work before.
  Tensor marker() {
    constexpr float kZero = 0;
    return op_.upload(&kZero, DType::f32, {1});
  }

  // One call on each copy. The results are gone afterwards.
  void pass(const BenchCase& item, const BenchCase::Call& call) {
    auto results = op_.scope();
    for (int64_t i = 0; i < item.copies; ++i) call(i);
  }

  // Bytes of arena, and the arithmetic of a call. Error{out_of_memory}.
  int64_t measure(const BenchCase& item, double& flops) {
    Arena measuring = Arena::measuring();
    op_.use(measuring);
    marker();
    const BenchCase::Call call = item.prepare(inputs_);
    const double before = op_.work().flops;
    pass(item, call);
    flops = (op_.work().flops - before) / static_cast<double>(item.copies);
    const int64_t needed = measuring.peak(), available = op_.device_memory().available;
    if (needed > available)
      throw Error(Code::out_of_memory, "timing " + item.name + " " + item.shape + " needs " + std::to_string(needed >> 20) +
                                           " MiB of memory and " + std::to_string(available >> 20) +
                                           " MiB are free; close other programs or ask for a smaller picture");
    return needed;
  }

  int64_t passes_in_a_round(const BenchCase& item, double flops, const BenchPeaks& peaks) const {
    const double a_pass = static_cast<double>(item.copies) * (item.bytes > 0 ? static_cast<double>(item.bytes) : flops);
    const double a_second = item.bytes > 0 ? peaks.bytes : peaks.flops;
    return static_cast<int64_t>(std::clamp(kRoundSeconds * a_second / a_pass, 1.0, kMostPasses));
  }

  double median_of_rounds(int warm_up, const Tensor& last, const std::function<void()>& work) {
    const auto round = [&] {
      const auto begin = std::chrono::steady_clock::now();
      work();
      float ignored;
      op_.download(last, &ignored);
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    };
    for (int i = 0; i < warm_up; ++i) round();
    std::vector<double> seconds;
    double total = 0;
    while (seconds.size() < kFewestRounds || total < kEnoughSeconds) {
      seconds.push_back(round());
      total += seconds.back();
    }
    return median(seconds);
  }

  Backend& op_;
  BenchInputs inputs_;
};

// Larger squares until one would take too long.
void measure_products(Stopwatch& stopwatch, BenchPeaks& peaks) {
  constexpr int64_t kLargest = 8192;
  for (int64_t side = 1024; side <= kLargest; side *= 2) {
    const double seconds = stopwatch.time(square_product(side), peaks).seconds;
    if (8 * seconds > kEnoughSeconds) break;
  }
}

}  // namespace

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

OpsReport bench_ops(Backend& op, int64_t width, int64_t height,
                    const std::function<void(const std::string& name, int64_t done, int64_t of)>& starts) {
  const std::vector<BenchCase> cases = bench_cases(width, height, op.dtype());
  const int64_t peaks = op.on_host() ? 2 : 3, of = peaks + std::ssize(cases);
  int64_t done = 0;
  const auto next = [&](const std::string& name) { starts(name, done++, of); };

  Stopwatch stopwatch(op);
  OpsReport report;
  next("matrix products");
  measure_products(stopwatch, report.peaks);
  next("memory");
  stopwatch.time(large_copy(), report.peaks);
  if (!op.on_host()) {
    next("upload");
    report.peaks.upload = stopwatch.upload_rate();
  }
  for (const BenchCase& item : cases) {
    next(item.name + ' ' + item.shape);
    report.ops.push_back(stopwatch.time(item, report.peaks));
  }
  return report;
}

}  // namespace fude
