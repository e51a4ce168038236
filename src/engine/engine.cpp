// What happens before a request is drawn: its prompts become ids, its memory is planned, weights and activations get their places.

#include "engine/engine_state.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "engine/clock.h"
#include "engine/devices.h"
#include "engine/metadata.h"
#include "engine/model_files.h"
#include "engine/request.h"
#include "weights/text.h"

namespace fude {

namespace {

constexpr int64_t kLeaveFree = int64_t{512} << 20;  // for others, and for what a driver takes besides

void trace_ids(const Callbacks& callbacks, const TokenIds& ids) {
  if (!callbacks.trace) return;
  for (const auto& [name, rows] : {std::pair{"tokens.clip_l", &ids.clip_l}, std::pair{"tokens.clip_g", &ids.clip_g},
                                   std::pair{"tokens.t5", &ids.t5}}) {
    if (rows->empty()) continue;
    std::vector<int32_t> flat;
    for (const auto& row : *rows) flat.insert(flat.end(), row.begin(), row.end());
    callbacks.trace({name, "i32", {static_cast<int64_t>(rows->size()), static_cast<int64_t>((*rows)[0].size())}, flat.data()});
  }
}

// Tells apart what gives other bytes for the same prompt.
std::string encoders_of(const Checkpoint& checkpoint, const DeviceInfo& device) {
  std::string text = device.description + ", " + device.library;
  for (const Component component : {Component::clip_l, Component::clip_g, Component::t5})
    text += ' ' + (checkpoint.has(component) ? std::to_string(checkpoint.identity(component)) : "none");
  return text;
}

}  // namespace

Engine::State::State(const ModelFiles& files, const EngineOptions& options)
    : checkpoint(Checkpoint::open(checkpoint_files(files))),
      tokenizers(checkpoint),
      backend(make_backend(options)),
      dtype(backend->compute_dtype(requested_dtype(options.dtype))) {
  backend->use(dtype);
  for (Component needed : {Component::clip_l, Component::clip_g, Component::transformer, Component::vae}) checkpoint.tensors(needed);
  vae.emplace(*backend, checkpoint);
  device_name = backend->name();
  dtype_name = fude::name_of(dtype);
  model_name = name_of_model(checkpoint.path());
  const MmditGeometry& g = checkpoint.mmdit();
  embeddings.emplace(encoders_of(checkpoint, device_info(device_name, options.threads)), options.embeddings,
                     std::vector<int64_t>{kClipTokens + kT5Tokens, g.context_width}, g.pooled_width);
  model_hash = hexadecimal(checkpoint.identity());
}

Request Engine::State::complete(const Request& request) const {
  const MmditGeometry& g = checkpoint.mmdit();
  check_request(request, g.pos_embed_max * g.patch * zoom());
  Request full = request;
  if (full.width == 0) full.width = g.sample_size * zoom();
  if (full.height == 0) full.height = g.sample_size * zoom();
  if (!full.shift) full.shift = checkpoint.schedule().shift;
  return full;
}

int64_t Engine::State::zoom() const { return int64_t{1} << (checkpoint.vae().block_out_channels.size() - 1); }

// Where memory is counted: on the host, or on a device that has its own.
int64_t& Engine::State::device_bytes(Bytes& bytes) const { return backend->on_host() ? bytes.host : bytes.device; }

int64_t Engine::State::allocated() const {
  return activations.size() + vae->decoder.allocated() + (mmdit ? mmdit->allocated() : 0) + (text ? text->allocated() : 0);
}

bool Engine::State::fits(Bytes planned, int64_t free) const {
  return device_bytes(planned) + free <= backend->device_memory().available + allocated();
}

// Decides what stays in memory: of the transformer all, or as many blocks as are left room for by everything else; of the text
// encoders all or nothing, and only on a device, since on the host the mapped files already keep them at hand.
void Engine::State::place_weights(const Job& job) {
  const int64_t layers = checkpoint.mmdit().layers;
  activations = {};
  text.emplace(*backend, checkpoint, false);
  mmdit.emplace(*backend, checkpoint, 0);
  vae.emplace(*backend, checkpoint);
  Result plan;
  measure(job, plan);
  const int64_t needed = device_bytes(plan.planned), available = backend->device_memory().available;
  const int64_t room = available - kLeaveFree - needed;
  if (room < 0) {
    mmdit.reset();
    throw Error(Code::out_of_memory, "this picture needs about " + std::to_string((needed + kLeaveFree) >> 20) + " MiB of memory and " +
                                         std::to_string(available >> 20) +
                                         " MiB are free; close other programs or ask for a smaller picture");
  }
  const int64_t whole = Mmdit(*backend, checkpoint, layers).blocks.bytes();
  const double share = std::min(1.0, static_cast<double>(room) / static_cast<double>(whole));
  mmdit.emplace(*backend, checkpoint, static_cast<int64_t>(share * static_cast<double>(layers)));
  if (!backend->on_host() && room >= whole + TextEncoders(*backend, checkpoint, true).kept_bytes())
    text.emplace(*backend, checkpoint, true);
}

// How many pictures are drawn at once where the request leaves it open: as many as make products faster, if they fit.
int64_t Engine::State::usual_batch(const Job& job) {
  const Request& request = job.request;
  const MmditGeometry& g = checkpoint.mmdit();
  const int64_t side = zoom() * g.patch, prompts = static_cast<int64_t>(job.ids.clip_l.size());
  const int64_t rows = prompts * (request.width / side) * (request.height / side);
  int64_t most = std::clamp<int64_t>(backend->rows_of_full_speed() / rows, 1, request.count);
  for (batch = most; batch > 1; batch /= 2) {
    Result plan;
    measure(job, plan);
    if (fits(plan.planned, kLeaveFree)) break;
  }
  return batch;
}

// Fills result.planned; returns the bytes of arena.
int64_t Engine::State::measure(const Job& job, Result& result) {
  Arena measuring = Arena::measuring();
  backend->use(measuring);
  draw(job, {}, result);
  device_bytes(result.planned) += measuring.peak();
  return measuring.peak();
}

// The request that draws the draft of a picture of this request.
std::string Engine::State::draft_key(const Request& request, int64_t picture) {
  Request small = request;
  if (const std::optional<Draft>& draft = request.draft) {
    small.width = draft->width;
    small.height = draft->height;
    small.steps = draft->steps;
    small.batch = draft->batch;
    small.place = draft->place;
    small.draft.reset();
  }
  (request.variation ? small.variation->seed : small.seed) += static_cast<uint64_t>(picture);
  small.count = 1;
  return json_from(small).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

Result Engine::State::generate(const Request& asked, const Callbacks& callbacks) {
  const Clock clock;
  Result result;
  result.request = complete(asked);
  result.device = device_name;
  result.dtype = dtype_name;
  const Request& request = result.request;
  std::vector<std::string> prompts;
  if (request.guidance > 1) prompts.push_back(request.negative);
  prompts.push_back(request.prompt);
  const TokenIds ids = tokenize(tokenizers, prompts, callbacks.warning);
  trace_ids(callbacks, ids);
  const Job job{request, ids, embeddings->find(ids, dtype)};

  backend->stop_when(callbacks.stop);
  batch = std::max<int64_t>(1, request.batch);
  if (!mmdit) place_weights(job);
  else if (Result plan; measure(job, plan), !fits(plan.planned, 0)) place_weights(job);  // an earlier request was smaller
  if (request.batch == 0) batch = usual_batch(job);
  const int64_t bytes = measure(job, result);
  if (activations.size() != bytes) {
    activations = {};  // first, since both may not fit
    activations = backend->allocate(bytes);
  }
  Arena arena(activations);
  backend->use(arena);
  draw(job, callbacks, result);
  device_bytes(result.used) += arena.peak();
  result.seconds.total = clock.seconds();
  return result;
}

std::vector<Result> Engine::State::generate(const std::vector<Request>& requests, const Callbacks& asked) {
  Callbacks callbacks = asked;
  std::set<std::string> warned;  // many requests share their prompt
  if (asked.warning) callbacks.warning = [&](const std::string& warning) {
    if (warned.insert(warning).second) asked.warning(warning);
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

Engine::Engine(const ModelFiles& files, const EngineOptions& options) : state_(std::make_unique<State>(files, options)) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

Result Engine::generate(const Request& request, const Callbacks& callbacks) {
  return std::move(state_->generate(std::vector{request}, callbacks).front());
}
std::vector<Result> Engine::generate(const std::vector<Request>& requests, const Callbacks& callbacks) {
  return state_->generate(requests, callbacks);
}
void Engine::remember(const Request& request, const std::vector<float>& latents) {
  state_->drafts[State::draft_key(complete(request), 0)] = latents;
}
Request Engine::complete(const Request& request) const { return state_->complete(request); }
const std::string& Engine::device() const { return state_->device_name; }
const std::string& Engine::dtype() const { return state_->dtype_name; }
const std::string& Engine::model_name() const { return state_->model_name; }
const std::string& Engine::model_hash() const { return state_->model_hash; }

}  // namespace fude
