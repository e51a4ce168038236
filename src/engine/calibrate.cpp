// Measuring rates, keeping them in a file, and learning from requests.
#include "engine/calibrate.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "engine/file.h"
#include "engine/json_text.h"
#include "engine/other_programs.h"
#include "engine/stopwatch.h"
#include "fude/error.h"
#include "weights/quote.h"

namespace fude {

namespace {

using Json = nlohmann::ordered_json;

// ---- measuring -------------------------------------------------------------------------------------------------------------

constexpr Patience kHasty{.rounds = 3, .seconds = 0.01, .quantile = 0};
constexpr int64_t kReadBytes = int64_t{128} << 20;
constexpr double kDisturbed = 2;        // times what the rates predict
constexpr double kWorthKeeping = 0.02;  // what differs less from what was predicted is not worth a file
constexpr size_t kRemembered = 5;       // requests
constexpr double kTooLong = 0.01;       // seconds of a call: what is larger would take several times as long

// Of cases at the points of a grid. Along both axes each is larger than the one before. What comes along x behind one that
// takes too long is taken to be as fast, and so is what takes too much memory: as the one before, or in the row before.
RateTable measured(Stopwatch& stopwatch, double launch, std::vector<double> x, std::vector<double> y,
                   const std::function<BenchCase(int64_t x, int64_t y)>& case_of) {
  RateTable table{std::move(x), std::move(y), {}};
  for (const double each_y : table.y) {
    double seconds = 0;
    for (const double each_x : table.x) {
      const BenchCase item = case_of(std::llround(each_x), std::llround(each_y));
      const bool begins_row = table.rates.size() % table.x.size() == 0;
      if (seconds > kTooLong || (!table.rates.empty() && !stopwatch.fits(item))) {
        table.rates.push_back(begins_row ? table.rates[table.rates.size() - table.x.size()] : table.rates.back());
        continue;
      }
      const Timing timing = stopwatch.time(item);
      seconds = timing.seconds;
      table.rates.push_back(std::max(timing.flops, timing.bytes) / std::max(seconds - launch, seconds / 2));
    }
  }
  return table;
}

// FLOP/s of GEMMs that go on for a while.
double sustained_rate(Device& device, const OpsOptions& options, int64_t room) {
  Stopwatch patient(device, options, {.rounds = 3, .seconds = 0.4, .quantile = 0.5}, room);
  const Timing timing = patient.time(product(8192, 1536, 1536));
  return timing.flops / timing.seconds;
}

// A card that has worked for a while clocks lower than one that was asked for a few milliseconds: by `kept` where it only
// multiplies, by about half of that, on a scale of ratios, where a request's other operations let it rest in between.
void slow_down(Device& device, const OpsOptions& options, Rates& rates, int64_t room) {
  const double kept = std::min(1.0, sustained_rate(device, options, room) / rates.gemm.at(8192, 1536));
  for (RateTable* table : {&rates.gemm, &rates.attention, &rates.convolutions})
    for (double& each : table->rates) each *= std::sqrt(kept);
}

// ---- the file --------------------------------------------------------------------------------------------------------------

constexpr uint64_t kLargestFile = 1 << 20;

Json json_from(const RateTable& table) { return {{"x", table.x}, {"y", table.y}, {"rates", table.rates}}; }

Json json_from(const Rates& rates) {
  return {{"gemm", json_from(rates.gemm)},
          {"attention", json_from(rates.attention)},
          {"convolutions", json_from(rates.convolutions)},
          {"passes", json_from(rates.passes)},
          {"launch", rates.launch},
          {"upload", rates.upload},
          {"load", rates.load},
          {"host", rates.host},
          {"taken",
           {{"load", rates.stage_ratios.load},
            {"host_offloaded", rates.stage_ratios.host_offloaded},
            {"encode", rates.stage_ratios.encode},
            {"denoise", rates.stage_ratios.denoise},
            {"decode", rates.stage_ratios.decode}}}};
}

bool are_positive(const std::vector<double>& values) {
  return !values.empty() &&
         std::all_of(values.begin(), values.end(), [](double value) { return value > 1e-30 && value < 1e30; });
}

bool is_factor(double value) { return value > 1e-3 && value < 1e3; }
bool are_factors(const std::vector<double>& values) {
  return values.size() <= kRemembered && std::all_of(values.begin(), values.end(), is_factor);
}

bool are_sound(const RateTable& table) {
  const auto ascend = [](const std::vector<double>& points) {
    return are_positive(points) && std::adjacent_find(points.begin(), points.end(), std::greater_equal<>()) == points.end();
  };
  return ascend(table.x) && ascend(table.y) && are_positive(table.rates) &&
         table.rates.size() == table.x.size() * table.y.size();
}

RateTable table_from(const Json& json) {
  return {json.at("x").get<std::vector<double>>(), json.at("y").get<std::vector<double>>(),
          json.at("rates").get<std::vector<double>>()};
}

std::optional<Rates> rates_from(const Json& json) {
  const auto taken = [&](const char* stage) { return json.at("taken").at(stage).get<std::vector<double>>(); };
  const Rates rates{
      .gemm = table_from(json.at("gemm")),
      .attention = table_from(json.at("attention")),
      .convolutions = table_from(json.at("convolutions")),
      .passes = table_from(json.at("passes")),
      .launch = json.at("launch"),
      .upload = json.at("upload"),
      .load = json.at("load"),
      .host = json.at("host"),
      .stage_ratios = {taken("load"), taken("host_offloaded"), taken("encode"), taken("denoise"), taken("decode")}};
  const bool sound = are_sound(rates.gemm) && are_sound(rates.attention) && are_sound(rates.convolutions) &&
                     are_sound(rates.passes) && are_positive({rates.launch, rates.load}) &&
                     are_factors(rates.stage_ratios.load) && are_factors(rates.stage_ratios.host_offloaded) &&
                     are_factors(rates.stage_ratios.encode) && are_factors(rates.stage_ratios.denoise) &&
                     are_factors(rates.stage_ratios.decode) && rates.upload >= 0 &&
                     (rates.upload == 0 || are_positive({rates.host}));
  return sound ? std::optional(rates) : std::nullopt;
}

// Every machine's rates by its key, as this version of fude measured them; empty when the file is not there or holds anything
// else.
Json read_machines(const std::string& file) {
  try {
    const std::vector<uint8_t> bytes = read_file(path_of(file), kLargestFile);
    const Json document = Json::parse(bytes.begin(), bytes.end());
    if (document.at("fude") == version() && document.at("machines").is_object()) return document["machines"];
  } catch (const Error&) {
  } catch (const Json::exception&) {
  }
  return Json::object();
}

std::string key_of(const DeviceInfo& info, DType dtype) {
  return info.description + ", " + info.library + ", " + std::string(name_of(dtype));
}

std::string write_machines(const std::string& file, const Json& machines) {
  const std::string text = text_of_json({{"fude", version()}, {"machines", machines}}, 1) + '\n';
  try {
    write_file(path_of(file), {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace

std::vector<Source> large_weights(const Checkpoint& checkpoint) {
  constexpr int64_t kMost = 13;  // 1 GiB of SD3.5's in 16 bits: more than any processor's caches hold
  std::vector<Source> weights;
  if (checkpoint.has(Component::t5))
    for (int64_t i = 0; i < std::min(kMost, checkpoint.t5().layers); ++i) {
      Source next = checkpoint.find(Component::t5, "encoder.block." + std::to_string(i) + ".layer.1.DenseReluDense.wo.weight");
      if (weights.empty() || next.shape == weights.front().shape) weights.push_back(std::move(next));
    }
  if (weights.empty()) weights.push_back(checkpoint.find(Component::clip_g, "text_model.embeddings.token_embedding.weight"));
  return weights;
}

Rates calibrate(Device& device, const OpsOptions& options, std::span<const Source> in_files, int64_t room) {
  Stopwatch stopwatch(device, options, kHasty, room);
  const DType dtype = options.dtype;
  if (!device.on_host()) sustained_rate(device, options, room);  // a card that idled takes a while to clock up
  stopwatch.time(product(1024, 1024, 1024));                     // so that it knows about how long others take
  stopwatch.time(norm(512, dtype));

  Rates rates;
  rates.launch = stopwatch.time(norm(1, dtype)).seconds;
  const auto table = [&](std::vector<double> x, std::vector<double> y, const auto& case_of) {
    return measured(stopwatch, rates.launch, std::move(x), std::move(y), case_of);
  };
  rates.passes = table({1e5, 1e6, 1e7, 1e8}, {1},
                       [&](int64_t bytes, int64_t) { return norm(std::max<int64_t>(1, bytes / norm(1, dtype).bytes), dtype); });
  rates.gemm = table({2, 32, 256, 2048, 8192}, {192, 1536, 4096},
                     [](int64_t rows, int64_t width) { return product(rows, width, width); });
  rates.attention = table({77, 333, 1357, 4429}, {64, 512}, [](int64_t tokens, int64_t head) {
    return head == 64 ? attention("attention", 2, 24, tokens, head) : attention("attention", 1, 1, tokens, head);
  });
  rates.convolutions = table({1024, 4096, 65536, 262144}, {32, 128, 512}, [](int64_t pixels, int64_t channels) {
    const int64_t side = std::llround(std::sqrt(static_cast<double>(pixels)));
    return conv(side, side, channels, channels, false);
  });
  if (!device.on_host()) slow_down(device, options, rates, room);
  const int64_t width = std::max<int64_t>(1, in_files.front().row_elements());
  const int64_t rows = std::min(in_files.front().rows(), std::min(kReadBytes, room / 2) / (width * size_of(dtype)));
  std::vector<ReadRows> weights;
  for (const Source& each : in_files)
    weights.push_back(
        [&each](int64_t begin, int64_t end, WeightFormat as, void* to) { read_rows(each, begin, end, element_of(as), to); });
  rates.load = stopwatch.load_rate({.out = rows, .in = width}, weights);
  if (!device.on_host()) {
    const Stopwatch::HostRates host = stopwatch.host_rates();
    rates.host = host.load;
    rates.upload = host.upload;
  }
  return rates;
}

namespace {

std::optional<Rates> known_rates(const DeviceInfo& info, DType dtype, const std::string& file) {
  if (file.empty()) return {};
  const Json machines = read_machines(file);
  const auto known = machines.find(key_of(info, dtype));
  if (known == machines.end()) return {};
  try {
    return rates_from(*known);
  } catch (const Json::exception&) {
    return {};
  }
}

}  // namespace

Rates rates_of(Device& device, const OpsOptions& options, const DeviceInfo& info, const std::string& file,
               std::span<const Source> in_files, int64_t room) {
  if (const std::optional<Rates> known = known_rates(info, options.dtype, file)) return *known;
  const OtherPrograms others(device);
  const Rates rates = calibrate(device, options, in_files, room);
  if (!others.disturb()) keep_rates(info, options.dtype, file, rates);
  return rates;
}

bool learn(Rates& rates, const Seconds& predicted, const Seconds& taken, bool offloaded) {
  bool learnt = false;
  const auto stage = [&](std::vector<double> StageRatios::*ratios, double Seconds::*seconds) {
    std::vector<double>& remembered = rates.stage_ratios.*ratios;
    const double before = median_of(remembered);
    const double now = before * (taken.*seconds / predicted.*seconds);
    if (!(predicted.*seconds > 0 && is_factor(now)) || now > kDisturbed) return;
    learnt = learnt || remembered.size() < kRemembered || std::abs(now / before - 1) > kWorthKeeping;
    if (remembered.size() == kRemembered) remembered.erase(remembered.begin());
    remembered.push_back(now);
  };
  stage(offloaded ? &StageRatios::host_offloaded : &StageRatios::load, &Seconds::load);
  stage(&StageRatios::encode, &Seconds::encode);
  stage(&StageRatios::denoise, &Seconds::denoise);
  stage(&StageRatios::decode, &Seconds::decode);
  return learnt;
}

std::string keep_rates(const DeviceInfo& info, DType dtype, const std::string& file, const Rates& rates) {
  if (file.empty()) return {};
  Json machines = read_machines(file);
  machines[key_of(info, dtype)] = json_from(rates);
  return write_machines(file, machines);
}

}  // namespace fude
