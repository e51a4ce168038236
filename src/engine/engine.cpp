// Engine: the public face of a Model and a Worker.

#include <chrono>
#include <future>
#include <set>
#include <utility>

#include "engine/advice.h"
#include "engine/devices.h"
#include "engine/engine_state.h"
#include "engine/given_embeddings.h"

namespace fude {

namespace {

using Time = std::chrono::steady_clock;

double seconds_since(Time::time_point began) { return std::chrono::duration<double>(Time::now() - began).count(); }

// A card takes as long to start as the model's files to be looked at: both at once.
Worker opened(const ModelFiles& files, const EngineOptions& options) {
  auto opening = std::async(std::launch::async, [&files] { return std::make_shared<const Model>(files); });
  std::unique_ptr<Device> device = make_device(options);
  return {opening.get(), options, std::move(device)};
}

void trace_ids(const Callbacks& callbacks, const TokenIds& ids) {
  if (!callbacks.trace) return;
  for (const auto& [name, rows] :
       {std::pair{"tokens.clip_l", &ids.clip_l}, std::pair{"tokens.clip_g", &ids.clip_g}, std::pair{"tokens.t5", &ids.t5}}) {
    if (rows->empty()) continue;
    std::vector<int32_t> flat;
    for (const auto& row : *rows) flat.insert(flat.end(), row.begin(), row.end());
    callbacks.trace({name, "i32", {static_cast<int64_t>(rows->size()), static_cast<int64_t>((*rows)[0].size())}, flat.data()});
  }
}

}  // namespace

Engine::State::Turn::Turn(State& state) : state_(state) {
  if (state.busy.exchange(true))
    throw Error(Code::bad_request,
                "this Engine is at work already, on another thread or in the call that this callback belongs to. Let "
                "threads take turns with it, or make an Engine for each.");
}

// Each once, however many requests follow.
void Engine::State::remark(const Request& complete, const Warn& warning) {
  if (!warning) return;
  for (const Message& each : remarks_on(complete, worker.model().checkpoint()))
    if (told.insert(each.what).second) warning(each);
}

Result Engine::State::generate(const Request& asked, const Callbacks& callbacks, const SeriesPosition& series) {
  const double began = worker.now();
  const ResolvedRequest request = worker.model().resolve(asked, callbacks.warning);
  remark(request.asked(), callbacks.warning);
  trace_ids(callbacks, request.ids());
  const double opened = std::exchange(opening, 0.0);
  return worker.generate(request, callbacks, series, opened + worker.now() - began, opened > 0);
}

std::vector<Result> Engine::State::generate(const std::vector<Request>& requests, const Callbacks& asked) {
  Callbacks callbacks = asked;
  std::set<std::string> warned;  // many requests share their prompt
  if (asked.warning)
    callbacks.warning = [&](const Message& warning) {
      if (warned.insert(warning.what).second) asked.warning(warning);
    };
  SeriesPosition series;
  for (const Request& each : requests) series.pictures += worker.model().complete(each).count;
  std::vector<Result> results;
  for (; series.request < std::ssize(requests); ++series.request) {
    results.push_back(generate(requests[static_cast<size_t>(series.request)], callbacks, series));
    series.pictures_done += results.back().request.count;
  }
  return results;
}

Embeddings Engine::State::encode(const Request& asked, const Callbacks& callbacks) {
  Request prompts = asked;
  prompts.embeddings.reset();
  return embeddings_from(worker.encode(worker.model().resolve(prompts, callbacks.warning), callbacks));
}

Plan Engine::State::plan(const Request& asked) {
  const Model& model = worker.model();
  const Request full = model.filled(asked);
  Size nearest = model.nearest_size(full);
  if (nearest != Size{full.width, full.height}) {
    Request drawn = full;
    drawn.width = nearest.width;
    drawn.height = nearest.height;
    drawn.draft.reset();  // whose size may be another fault
    const ResolvedRequest smaller = model.resolve(drawn);
    nearest = worker.largest_that_fits(worker.job_of(smaller));
  }
  model.check_size(full, nearest);
  const ResolvedRequest request = model.resolve(asked);
  worker.measure_rates();
  return worker.plan(worker.job_of(request));
}

Engine::Engine(const ModelFiles& files, const EngineOptions& options) {
  const auto began = Time::now();
  state_.reset(new State{.worker = opened(files, options)});
  state_->opening = seconds_since(began);
  state_->worker.log(LogEvent::opened, "the model " + model_name() + ", " + model_hash(), 0, state_->opening);
}
Engine::Engine(std::unique_ptr<State> state) : state_(std::move(state)) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

Engine EngineParts::assemble(std::shared_ptr<const Model> model, const EngineOptions& options, std::unique_ptr<Device> device,
                             std::optional<int64_t> outside) {
  return Engine(
      std::unique_ptr<Engine::State>(new Engine::State{.worker = {std::move(model), options, std::move(device), outside}}));
}

Result Engine::generate(const Request& request, const Callbacks& callbacks) {
  const State::Turn turn(*state_);
  return std::move(state_->generate(std::vector{request}, callbacks).front());
}
std::vector<Result> Engine::generate(const std::vector<Request>& requests, const Callbacks& callbacks) {
  const State::Turn turn(*state_);
  return state_->generate(requests, callbacks);
}
void Engine::remember(const Request& request, const std::vector<float>& latents) {
  const State::Turn turn(*state_);
  state_->worker.remember(complete(request), latents);
}
void Engine::keep_embeddings_in(const std::string& folder) {
  const State::Turn turn(*state_);
  state_->worker.keep_embeddings_in(folder);
}
Embeddings Engine::encode(const Request& request, const Callbacks& callbacks) {
  const State::Turn turn(*state_);
  return state_->encode(request, callbacks);
}
Bytes Engine::memory() {
  const State::Turn turn(*state_);
  return state_->worker.memory();
}
void Engine::release() {
  const State::Turn turn(*state_);
  state_->worker.free_all();
}
Plan Engine::plan(const Request& request) {
  const State::Turn turn(*state_);
  return state_->plan(request);
}
Request Engine::complete(const Request& request) const { return state_->worker.model().complete(request); }
const std::string& Engine::device() const { return state_->worker.device(); }
const std::string& Engine::dtype() const { return state_->worker.dtype(); }
const std::string& Engine::model_name() const { return state_->worker.model().name(); }
bool Engine::has_t5() const { return state_->worker.model().checkpoint().has(Component::t5); }
const std::string& Engine::model_hash() const { return state_->worker.model().hash(); }

}  // namespace fude
