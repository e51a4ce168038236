// fude::bench: the operations first, on a device of their own, then a request of the model, as anybody draws it.

#include <algorithm>
#include <memory>
#include <utility>

#include "engine/bench_ops.h"
#include "engine/devices.h"
#include "engine/request.h"
#include "engine/size_text.h"
#include "engine/stopwatch.h"
#include "engine/worker.h"
#include "fude/fude.h"

namespace fude {

namespace {

constexpr int64_t kUsualSide = 512;
constexpr const char* kPrompt = "a lighthouse on a cliff at night, waves, woodblock print";
// A card does the first step as it comes and records the second; those after it are what a long request consists of.
constexpr size_t kUnusualSteps = 2;

StageCosts costs_of(const ModelFiles& files, const EngineOptions& options, const Request& request) {
  const Worker worker(std::make_shared<const Model>(files), options, make_device(options));
  const ResolvedRequest resolved = worker.model().resolve(request);
  const Drafts none;
  return worker.costs_of({.model = worker.model(), .request = resolved, .embeddings = nullptr, .drafts = none});
}

// Of every request alike, those that are usual in a long one.
double step_seconds(const std::vector<Result>& results) {
  std::vector<double> seconds;
  for (const Result& result : results) {
    const std::vector<double>& steps = result.images.front().step_seconds;
    const size_t unusual = std::min(kUnusualSteps, steps.size() - 1);
    seconds.insert(seconds.end(), steps.begin() + static_cast<std::ptrdiff_t>(unusual), steps.end());
  }
  return quantile(std::move(seconds), 0.5);
}

BenchRequest bench_request(Engine& engine, const Request& request, const StageCosts& costs, const BenchCallbacks& callbacks,
                           int64_t done, int64_t of) {
  BenchRequest report;
  std::vector<Result> results;
  Request again = request;
  again.prompt += " in winter";  // what was encoded once is kept
  for (const auto& [name, asked] :
       {std::pair{"request, first: ", &request}, std::pair{"request, again: ", &std::as_const(again)}}) {
    Callbacks inner;
    inner.stop = callbacks.stop;
    inner.progress = [&, what = name](const Progress& now) {  // Clang before 16 captures no structured binding
      if (!callbacks.progress) return;
      callbacks.progress(
          {what + std::string(name_of(now.stage)) + ' ' + std::to_string(now.step) + '/' + std::to_string(now.steps), done,
           of});
    };
    results.push_back(engine.generate(*asked, inner));
    ++done;
  }
  const Seconds& second = results[1].seconds;
  const std::string size = text_of_size(request.width, request.height);
  report.model = engine.model_name();
  report.steps = *request.steps;
  report.guidance = *request.guidance;
  const bool guided = request.guidance > 1;
  report.encode = {
      .name = "encode", .shape = guided ? "2 prompts" : "1 prompt", .seconds = second.encode, .flops = costs.encode.flops};
  report.forward = {.name = "step",
                    .shape = size + (guided ? ", with guidance" : ""),
                    .seconds = step_seconds(results),
                    .flops = costs.steps.work.flops / costs.steps.count};
  report.decode = {.name = "decode", .shape = size, .seconds = second.decode, .flops = costs.decode.flops};
  report.first = results[0].seconds;
  report.again = second;
  report.planned = results[1].planned;
  return report;
}

}  // namespace

BenchReport bench(const ModelFiles& files, const EngineOptions& options, const BenchOptions& asked,
                  const BenchCallbacks& callbacks) {
  BenchReport report{.width = kUsualSide, .height = kUsualSide};
  for (const auto& [side, given, target] :
       {std::tuple{Field::width, asked.width, &report.width}, std::tuple{Field::height, asked.height, &report.height}}) {
    if (given == 0) continue;
    check_side(side, given);
    *target = given;
  }
  std::optional<Engine> engine;
  Request request;
  if (!files.model.empty()) {
    engine.emplace(files, options);
    const Request usual = engine->complete({});
    if (asked.width == 0) report.width = std::min(report.width, usual.width);
    if (asked.height == 0) report.height = std::min(report.height, usual.height);
    request = engine->complete({.prompt = kPrompt, .width = report.width, .height = report.height, .steps = asked.steps});
  }

  const int64_t requests = engine ? 2 : 0;
  int64_t of = requests;
  StageCosts costs;
  if (engine) costs = costs_of(files, options, request);
  {
    const std::unique_ptr<Device> device = make_device(options);
    const DType dtype = device->compute_dtype(requested_dtype(options.dtype));
    report.device = device_info(device->name(), options.threads);
    report.dtype = name_of(dtype);
    OpsReport ops = bench_ops(*device, {.dtype = dtype, .stop = callbacks.stop}, report.width, report.height,
                              [&](const std::string& name, int64_t done, int64_t ops_of) {
                                of = ops_of + requests;
                                if (callbacks.progress) callbacks.progress({name, done, of});
                              });
    report.peaks = ops.peaks;
    report.ops = std::move(ops.ops);
  }
  if (engine) report.request = bench_request(*engine, request, costs, callbacks, of - requests, of);
  return report;
}

}  // namespace fude
