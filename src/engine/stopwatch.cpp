// Rounds of operations between two synchronisations, and the median of their times.
#include "engine/stopwatch.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "engine/clock.h"
#include "fude/error.h"

namespace fude {

namespace {

// A round of calls ends with a wait for the device, whose few microseconds must not count; the host does not wait, and of short
// rounds some go undisturbed.
constexpr double kRoundSeconds = 2e-3, kHostRoundSeconds = 1e-4;
constexpr double kMostPasses = 1000;
constexpr double kLoadSeconds = 0.3;

Tensor marker(Ops& op) {
  constexpr float kZero = 0;
  return op.upload(&kZero, DType::f32, {1});
}

// Waits for all the work before.
void read_back(Ops& op, const Tensor& marker) {
  float ignored;
  op.download(marker, &ignored);
}

// One call on each copy. The results are gone afterwards.
void pass(Ops& op, const BenchCase& item, const BenchCase::Call& call) {
  auto results = op.scope();
  for (int64_t i = 0; i < item.copies; ++i) call(i);
}

}  // namespace

double quantile(std::vector<double> values, double part) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(part * static_cast<double>(values.size())))];
}

Timing Stopwatch::time(const BenchCase& item) {
  double flops = 0;
  const int64_t needed = measure(item, flops);
  if (needed > available())
    throw Error(Code::out_of_memory, "timing " + item.name + " " + item.shape + " needs " + std::to_string(needed >> 20) +
                                         " MiB of memory and " + std::to_string(available() >> 20) +
                                         " MiB are free; close other programs or ask for a smaller picture");
  const Buffer memory = device_.allocate(needed);
  Arena arena(memory);
  Ops op(device_, arena, options_);
  const Tensor last = marker(op);
  const BenchCase::Call call = item.prepare(BenchInputs(op, numbers_));

  const Clock clock(device_);
  pass(op, item, call);
  read_back(op, last);
  const int64_t passes = passes_in_a_round(item, flops, clock.seconds());
  std::unique_ptr<DeviceGraph> graph;  // a card replays a round, so that launching it costs nothing
  const double seconds = seconds_of_round(device_.on_host() ? 0 : 2, [&] {
    op.replay(graph, [&] {
      for (int64_t i = 0; i < passes; ++i) pass(op, item, call);
    });
    read_back(op, last);
  });
  const Timing timing{item.name, item.shape, seconds / static_cast<double>(passes * item.copies), flops,
                      static_cast<double>(item.bytes)};
  peaks_.flops = std::max(peaks_.flops, timing.flops / timing.seconds);
  peaks_.bytes = std::max(peaks_.bytes, timing.bytes / timing.seconds);
  return timing;
}

double Stopwatch::load_rate(const WeightShape& shape, std::span<const ReadRows> weights) {
  const WeightFormat format = dense_format(options_.dtype);
  const int64_t bytes = device_.packed_bytes(shape, format);
  const Buffer weight = device_.allocate(bytes);
  const auto load = [&](Transfer& transfer, const ReadRows& read) { transfer.pack(shape, format, read, weight.data()); };
  const Clock first(device_);
  size_t count = 0;  // of weights that are in the system's cache now
  {
    const std::unique_ptr<Transfer> transfer = device_.begin_transfer();
    while (count < weights.size() && first.seconds() < kLoadSeconds) load(*transfer, weights[count++]);
    transfer->wait();
  }
  const Clock second(device_);
  const std::unique_ptr<Transfer> transfer = device_.begin_transfer();
  for (const ReadRows& read : weights.first(count)) load(*transfer, read);
  transfer->wait();
  return static_cast<double>(static_cast<int64_t>(count) * bytes) / second.seconds();
}

Stopwatch::HostRates Stopwatch::host_rates() {
  constexpr int64_t kWidth = 8192, kMostRows = 8192, kWeights = 4;
  const int64_t element = size_of(options_.dtype);
  const int64_t fit = available() / (2 * kWeights * kWidth * element);
  const WeightShape shape{.out = std::clamp<int64_t>(fit, 1, kMostRows), .in = kWidth};
  const WeightFormat format = dense_format(options_.dtype);
  const int64_t bytes = device_.packed_bytes(shape, format);
  const ReadRows read = [](int64_t begin, int64_t end, WeightFormat as, void* rows) {
    std::memset(rows, 0, static_cast<size_t>(bytes_of(as, end - begin, kWidth)));
  };
  std::vector<Buffer> waiting;
  std::vector<std::unique_ptr<Transfer>> reading;
  const Clock clock(device_);
  for (int64_t i = 0; i < kWeights; ++i) {
    waiting.push_back(host_buffer(bytes));
    reading.push_back(device_.begin_transfer(Side::host));
    reading.back()->pack(shape, format, read, waiting.back().data());
  }
  for (size_t i = 0; i < waiting.size(); ++i) {  // as a model's blocks are loaded: the next ones are read meanwhile
    std::exchange(reading[i], nullptr)->wait();
    waiting[i] = device_.pinned(std::move(waiting[i]));
  }
  const double all = static_cast<double>(std::ssize(waiting) * bytes);
  const double filled = clock.seconds();
  const Buffer weight = device_.allocate(bytes);
  const auto copy = [&] {  // and wait, when the transfer goes
    const std::unique_ptr<Transfer> transfer = device_.begin_transfer();
    for (const Buffer& each : waiting) transfer->copy(weight.data(), each.data(), bytes);
  };
  copy();
  const Clock copying(device_);
  copy();
  return {.load = all / filled, .upload = all / copying.seconds()};
}

// Bytes of arena, and the arithmetic of a call.
int64_t Stopwatch::measure(const BenchCase& item, double& flops) {
  Arena measuring = Arena::measuring();
  Ops op(device_, measuring, options_);
  marker(op);
  const BenchCase::Call call = item.prepare(BenchInputs(op, numbers_));
  const double before = op.work().flops;
  pass(op, item, call);
  flops = (op.work().flops - before) / static_cast<double>(item.copies);
  return measuring.peak();
}

bool Stopwatch::fits(const BenchCase& item) {
  double ignored = 0;
  return measure(item, ignored) <= available();
}

int64_t Stopwatch::passes_in_a_round(const BenchCase& item, double flops, double first) const {
  const double a_pass = static_cast<double>(item.copies) * (item.bytes > 0 ? static_cast<double>(item.bytes) : flops);
  const double a_second = item.bytes > 0 ? peaks_.bytes : peaks_.flops;
  // What takes much longer than at the peak, as small operations do beside other programs, must not be repeated as often.
  const double round = device_.on_host() ? kHostRoundSeconds : kRoundSeconds;
  const double most = std::min(kMostPasses, 20 * round / first);
  return static_cast<int64_t>(std::max(1.0, std::min(round * a_second / a_pass, most)));
}

double Stopwatch::seconds_of_round(int warm_up, const std::function<void()>& work) const {
  const auto round = [&] {
    const Clock clock(device_);
    work();
    return clock.seconds();
  };
  for (int i = 0; i < warm_up; ++i) round();
  std::vector<double> seconds;
  double total = 0;
  while (seconds.size() < patience_.rounds || total < patience_.seconds) {
    seconds.push_back(round());
    total += seconds.back();
  }
  return quantile(seconds, patience_.quantile);
}

}  // namespace fude
