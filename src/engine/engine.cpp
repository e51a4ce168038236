// What happens before a request is drawn: its prompts become ids, its memory is planned, weights and activations get their
// places.

#include <algorithm>
#include <chrono>
#include <functional>
#include <future>
#include <set>
#include <utility>

#include "core/system.h"
#include "engine/advice.h"
#include "engine/calibrate.h"
#include "engine/clock.h"
#include "engine/devices.h"
#include "engine/engine_state.h"
#include "engine/fields.h"
#include "engine/json_text.h"
#include "engine/metadata.h"
#include "engine/model_files.h"
#include "engine/prompt_syntax.h"
#include "engine/request.h"
#include "engine/request_work.h"
#include "engine/single_picture.h"
#include "weights/quote.h"

namespace fude {

namespace {

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

// Weights are packed in the dtype that is computed in.
DType used_dtype(Backend& backend, const EngineOptions& options) {
  const DType dtype = backend.compute_dtype(requested_dtype(options.dtype));
  backend.use(dtype);
  return dtype;
}

OpenedModel opened(const ModelFiles& files) {
  Checkpoint checkpoint = Checkpoint::open(checkpoint_files(files));
  check_complete(checkpoint);
  Tokenizers tokenizers(checkpoint);
  const uint64_t identity = checkpoint.identity();
  return {std::move(checkpoint), std::move(tokenizers), identity};
}

// A backend looks at the caller's flag while this lives.
struct Stopping {
  Stopping(Backend& backend, const std::atomic<bool>* stop) : op(backend) { op.stop_when(stop); }
  ~Stopping() { op.stop_when(nullptr); }
  Backend& op;
};

// Tells apart what gives other bytes for the same prompt.
std::string encoders_of(const Checkpoint& checkpoint, const DeviceInfo& device) {
  std::string text = device.description + ", " + device.library;
  for (const Component component : {Component::clip_l, Component::clip_g, Component::t5})
    text += ' ' + (checkpoint.has(component) ? std::to_string(checkpoint.identity(component)) : "none");
  return text;
}

}  // namespace

// A card takes as long to start as the model's files to be looked at. Braces: the files first, so that both go on at once.
Engine::State::State(const ModelFiles& files, const EngineOptions& asked)
    : State{std::async(std::launch::async, opened, std::cref(files)), asked, make_backend(asked)} {}

Engine::State::State(const ModelFiles& files, const EngineOptions& asked, std::unique_ptr<Backend> made)
    : State(opened(files), asked, std::move(made)) {}

Engine::State::State(std::future<OpenedModel> model, const EngineOptions& asked, std::unique_ptr<Backend> made)
    : State(model.get(), asked, std::move(made)) {}

Engine::State::State(OpenedModel model, const EngineOptions& asked, std::unique_ptr<Backend> made)
    : checkpoint(std::move(model.checkpoint)),
      tokenizers(std::move(model.tokenizers)),
      backend(std::move(made)),
      dtype(used_dtype(*backend, asked)),
      options(asked),
      text(*backend, checkpoint),
      mmdit(*backend, checkpoint),
      vae(*backend, checkpoint) {
  device_name = backend->name();
  dtype_name = fude::name_of(dtype);
  model_name = checkpoint.name();
  const MmditGeometry& g = checkpoint.mmdit();
  device = options.card.empty() ? device_info(device_name, options.threads) : DeviceInfo{.name = options.card};
  embeddings.emplace(encoders_of(checkpoint, device), options.embeddings,
                     std::vector<int64_t>{kClipTokens + kT5Tokens, g.context_width}, g.pooled_width);
  model_hash = hexadecimal(model.identity);
  outside = resident_memory();
}

int64_t Engine::State::largest_side() const {
  return checkpoint.mmdit().pos_embed_max * checkpoint.mmdit().patch * vae_scale_factor();
}

// The request with every default, and whatever size it asks for.
Request Engine::State::filled(const Request& request) const {
  const MmditGeometry& g = checkpoint.mmdit();
  check_settings(request);
  Request full = request;
  if (full.width == 0) full.width = g.sample_size * vae_scale_factor();
  if (full.height == 0) full.height = g.sample_size * vae_scale_factor();
  if (!full.shift) full.shift = checkpoint.schedule().shift;
  const ModelDefaults own = checkpoint.defaults();
  if (!full.steps) full.steps = own.steps;
  if (!full.guidance) full.guidance = own.guidance;
  if (full.draft && !full.draft->steps) full.draft->steps = own.steps;
  full.sampler = sampler_from(full.sampler).value_or(full.sampler);
  return full;
}

// The nearest size that the model draws.
Size Engine::State::nearest_size(const Request& full) const {
  return {nearest_side(full.width, largest_side()), nearest_side(full.height, largest_side())};
}

Request Engine::State::complete(const Request& request) const {
  const Request full = filled(request);
  check_size(full, nearest_size(full));
  return full;
}

// Error{bad_request} that advises `nearest`, unless that is the request's size.
void Engine::State::check_size(const Request& full, const Size& nearest) const {
  refuse_size(full, largest_side(), nearest);
  check_sizes(full, largest_side());  // of a draft
}

int64_t Engine::State::vae_scale_factor() const { return checkpoint.vae().scale_factor(); }

// Where memory is counted: on the host, or on a device that has its own.
int64_t& Engine::State::device_bytes(Bytes& bytes) const { return backend->on_host() ? bytes.host : bytes.device; }

// The request that draws the draft of a picture of this request.
std::string Engine::State::draft_key(const Request& request, int64_t picture) {
  return text_of_json(json_from(request_of_draft(request, picture)));
}

// Each once, however many requests follow.
void Engine::State::tell(const Request& request, const std::function<void(const Message&)>& warning) {
  if (!warning) return;
  for (const Message& remark : remarks_on(request, checkpoint))
    if (told.insert(remark.what).second) warning(remark);
}

TokenIds Engine::State::ids_of(const Request& request, const std::function<void(const Message&)>& warning) {
  std::vector<std::string> prompts;
  if (request.guidance > 1) prompts.push_back(request.negative);
  prompts.push_back(request.prompt);
  if (warning)
    if (const Message foreign = foreign_syntax_in(prompts); !foreign.what.empty()) warning(foreign);
  return tokenize(tokenizers, prompts, warning);
}

Result Engine::State::generate(const Request& asked, const Callbacks& callbacks) {
  const Clock clock(*backend);
  Result result;
  result.request = complete(asked);
  result.device = device_name;
  result.dtype = dtype_name;
  const Request& request = result.request;
  const TokenIds ids = ids_of(request, callbacks.warning);
  tell(request, callbacks.warning);
  trace_ids(callbacks, ids);
  const Job job{request, ids, embeddings->find(ids, dtype)};

  const Stopping stopping(*backend, callbacks.stop);
  batch = std::max<int64_t>(1, request.batch);
  if (!options.calibration.empty()) measure_rates();
  make_room(job);
  result.plan = plan_of(job);
  result.planned = result.plan.planned;
  if (callbacks.planned) callbacks.planned(result.plan);
  result.used = kept();
  step_seconds.clear();
  Arena arena(work), host_arena(waiting);
  backend->use(arena);
  backend->use_host(host_arena);
  const double opened = std::exchange(opening, 0.0);
  const double begun = opened + clock.seconds();
  result.seconds.load = begun;
  const Seconds beforehand = result.plan.predicted;
  if (Seconds& predicted = result.plan.predicted; predicted.total > 0) {  // opening is over, and known
    predicted.load += begun;
    predicted.total += begun;
  }
  draw(job, callbacks, result);
  device_bytes(result.used) += arena.peak();
  result.used.host += host_arena.peak();
  result.seconds.total = opened + clock.seconds();
  const std::optional<Message> slow = why_slow(result.plan, options, batch, step_seconds);
  if (slow && !was_slow && callbacks.warning) callbacks.warning(*slow);
  was_slow = slow.has_value();
  if (rates && !callbacks.trace)
    not_kept(callbacks, "the rates of this machine", learn_from(result, beforehand, begun, opened > 0));
  return result;
}

// `begun`: seconds of loading before it was predicted. What is loaded once is not loaded by later requests. Empty, or why it is
// not kept.
std::string Engine::State::learn_from(const Result& result, Seconds predicted, double begun, bool is_first) {
  Seconds taken = result.seconds;
  taken.load -= begun;
  if (!is_first) predicted.load = predicted.encode = 0;
  if (!learn(*rates, predicted, taken, waits_on_host(result.plan))) return {};
  return keep_rates(*backend, device, options.calibration, *rates);
}

void Engine::State::not_kept(const Callbacks& callbacks, const std::string& what, const std::string& why) {
  if (!why.empty() && callbacks.not_kept && told_not_kept.insert(what).second) callbacks.not_kept(what + ": " + why);
}

std::vector<Result> Engine::State::generate(const std::vector<Request>& requests, const Callbacks& asked) {
  Callbacks callbacks = asked;
  std::set<std::string> warned;  // many requests share their prompt
  if (asked.warning)
    callbacks.warning = [&](const Message& warning) {
      if (warned.insert(warning.what).second) asked.warning(warning);
    };
  pictures = pictures_done = 0;
  for (const Request& each : requests) pictures += complete(each).count;
  std::vector<Result> results;
  for (place_in_series = 0; place_in_series < std::ssize(requests); ++place_in_series) {
    results.push_back(generate(requests[static_cast<size_t>(place_in_series)], callbacks));
    pictures_done += results.back().request.count;
  }
  return results;
}

Engine::Engine(const ModelFiles& files, const EngineOptions& options) {
  const auto began = std::chrono::steady_clock::now();
  state_ = std::make_unique<State>(files, options);
  state_->opening = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}
Engine::Engine(std::unique_ptr<State> state) : state_(std::move(state)) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

Engine::State::Turn::Turn(State& state) : state_(state) {
  if (state.busy.exchange(true))
    throw Error(Code::bad_request,
                "this Engine is at work already, on another thread or in the call that this callback belongs to. Let "
                "threads take turns with it, or make an Engine for each.");
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
  state_->drafts[State::draft_key(complete(request), 0)] = latents;
}
void Engine::keep_embeddings_in(const std::string& folder) {
  const State::Turn turn(*state_);
  state_->embeddings->keep_in(folder);
}
Plan Engine::plan(const Request& request) {
  const State::Turn turn(*state_);
  return state_->plan(request);
}
Request Engine::complete(const Request& request) const { return state_->complete(request); }
const std::string& Engine::device() const { return state_->device_name; }
const std::string& Engine::dtype() const { return state_->dtype_name; }
const std::string& Engine::model_name() const { return state_->model_name; }
bool Engine::has_t5() const { return state_->checkpoint.has(Component::t5); }
const std::string& Engine::model_hash() const { return state_->model_hash; }

}  // namespace fude
