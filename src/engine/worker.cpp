// Taking memory, drawing with it, learning from what it took, and giving it back.
#include "engine/worker.h"

#include <algorithm>
#include <utility>

#include "core/system.h"
#include "engine/advice.h"
#include "engine/calibrate.h"
#include "engine/cards.h"
#include "engine/clock.h"
#include "engine/devices.h"
#include "engine/given_embeddings.h"
#include "engine/size_text.h"

namespace fude {

namespace {

// Tells apart what gives other bytes for the same prompt.
std::string encoders_of(const Checkpoint& checkpoint, const ModelWeights& weights, const DeviceInfo& device) {
  std::string text = device.description + ", " + device.library;
  for (const Component component : kComponents) {
    if (!encodes_text(component)) continue;
    text += ' ' + (checkpoint.has(component) ? std::to_string(checkpoint.identity(component)) : "none");
    TextEncoders::for_each(weights.text, [&](const auto& encoder) {
      if (encoder.source.component() != component) return;
      if (const uint64_t epoch = encoder.source.epoch()) text += '+' + std::to_string(epoch);
    });
  }
  return text;
}

// Takes memory anew where it is not of this size.
template <class Allocate>
void resize(Buffer& memory, int64_t bytes, const Allocate& allocate) {
  if (memory.size() == bytes) return;
  memory = {};  // first, since both may not fit
  memory = allocate(bytes);
}

}  // namespace

Worker::Worker(std::shared_ptr<const Model> model, const EngineOptions& options, std::unique_ptr<Device> device,
               std::optional<int64_t> outside)
    : model_(std::move(model)),
      device_(std::move(device)),
      dtype_(device_->compute_dtype(requested_dtype(options.dtype))),
      options_(options),
      device_name_(device_->name()),
      dtype_name_(name_of(dtype_)),
      info_(options.card.empty() ? device_info(device_name_, options.threads) : DeviceInfo{.name = options.card}),
      others_(*device_),
      weights_(*device_, dense_format(dtype_), model_->checkpoint(), model_->packed_host()),
      embeddings_(encoders_of(model_->checkpoint(), weights_, info_), options.embeddings,
                  model_->checkpoint().mmdit().context_width, model_->checkpoint().mmdit().pooled_width),
      outside_(outside ? *outside : resident_memory()) {
  log(LogEvent::device, device_name_ + " (" + info_.description + "), computing in " + dtype_name_);
  if (options_.device == "auto" && options_.card.empty() && device_->on_host())
    log(LogEvent::fell_back, "the processor draws: " + why_no_cuda());
  if (requested_dtype(options_.dtype) != dtype_ && options_.dtype != "auto")
    log(LogEvent::fell_back, "computing in " + dtype_name_ + ", which this device does faster than " + options_.dtype);
}

void Worker::log(LogEvent event, std::string text, int64_t bytes, double seconds) const {
  if (options_.log) options_.log({event, std::move(text), bytes, seconds});
}

Job Worker::job_of(const ResolvedRequest& request, const std::atomic<bool>* stop) {
  const HostEmbeddings* embeddings = nullptr;
  if (const auto& given = request.asked().embeddings) {
    given_ = host_embeddings(*given, request.guided(), dtype_);
    embeddings = &given_;
  } else {
    embeddings = embeddings_.find(request.ids(), dtype_);
  }
  return {*model_, request, embeddings, drafts_, stop};
}

void Worker::use(const WeightSource& source) {
  weights_.use(source);
  embeddings_.made_by(encoders_of(model_->checkpoint(), weights_, info_));
}

void Worker::measure_rates(const std::atomic<bool>* stop) {
  if (rates_) return;
  const Clock clock(*device_);
  const Bytes free = room();
  const int64_t placed = weights_memory_.size() + work_memory_.size();
  try {
    rates_ = options_.card.empty() ? rates_of(*device_, {.dtype = dtype_, .stop = stop}, info_, options_.calibration,
                                              large_weights(model_->checkpoint()),
                                              (device_->on_host() ? free.host : std::min(free.device, free.host)) - placed)
                                   : expected_rates(card_sheet(options_.card));
    log(LogEvent::measured, "the rates of this machine are known", 0, clock.seconds());
  } catch (const Error& error) {  // memory is planned all the same
    if (error.code() != Code::out_of_memory) throw;
  }
}

// ---- memory ----------------------------------------------------------------------------------------------------------------

Bytes Worker::memory() const {
  Bytes bytes{.host = host_memory_.size() + (placement_ ? weights_.host_bytes() : 0)};
  device_bytes(device_->on_host(), bytes) += weights_memory_.size() + work_memory_.size();
  return bytes;
}

void Worker::free_all() {
  release("as asked");
  embeddings_.forget();
  given_ = {};
  drafts_.clear();
}

void Worker::release(const char* why) {
  const Bytes freed = memory();
  if (freed.host + freed.device > 0)
    log(LogEvent::released, std::string("weights and memory are freed ") + why, freed.host + freed.device);
  loaded_ = false;
  weights_.keep({.vae = false});
  placement_.reset();
  weights_memory_ = {};
  work_memory_ = {};
  host_memory_ = {};
}

void Worker::commit(const Job& job, const Candidate& candidate) {
  if (!placement_ || *placement_ != *candidate.placement) {
    release("to be placed anew");
    weights_.keep(*candidate.placement);
    weights_memory_ = device_->allocate(weights_.resident_bytes());
    Arena memory(weights_memory_);
    weights_.place(memory);
    placement_ = candidate.placement;
    const auto& blocks = weights_.mmdit.blocks;
    log(LogEvent::placed,
        std::to_string(blocks.residency().resident()) + " of " + std::to_string(blocks.size()) +
            " blocks of the transformer stay, the others are streamed",
        weights_.resident_bytes());
  }
  const DryRun needed = run(job, weights_, candidate.run_plan);
  resize(work_memory_, needed.work, [&](int64_t bytes) { return device_->allocate(bytes); });
  resize(host_memory_, needed.host_offloaded, [&](int64_t bytes) { return device_->allocate_host(bytes); });
}

// Decides what is resident, or leaves it as it is where the request fits so, and takes the memory. Error{out_of_memory}. What
// is loaded goes only for a request that is drawn.
Worker::Candidate Worker::make_room(const Job& job) {
  for (bool again = false;; again = true) {
    const Bytes room = this->room();
    Candidate candidate = candidate_for(job, room);
    if (!candidate.placement) throw Error(Code::out_of_memory, why_not(job, room));
    try {
      commit(job, candidate);
      return candidate;
    } catch (const Error& error) {
      release("after an error");
      // Another program may have taken what was free a moment ago.
      if (again || error.code() != Code::out_of_memory) throw;
    }
  }
}

// ---- drawing ---------------------------------------------------------------------------------------------------------------

Result Worker::generate(const ResolvedRequest& request, const Callbacks& callbacks, const SeriesPosition& series, double before,
                        bool is_first) {
  const Clock clock(*device_);
  Result result;
  result.request = request.asked();
  result.device = device_name_;
  result.dtype = dtype_name_;
  const Job job = job_of(request, callbacks.stop);
  if (!options_.calibration.empty()) measure_rates(callbacks.stop);
  const Candidate placed = make_room(job);
  result.plan = plan_of(job, placed);
  result.planned = result.plan.planned;
  if (callbacks.planned) callbacks.planned(result.plan);
  log(LogEvent::planned,
      text_of_size(result.request.width, result.request.height) + ", " + std::to_string(request.steps()) + " steps, " +
          std::to_string(placed.run_plan.batch) + " at once",
      device_bytes(device_->on_host(), result.plan.planned), result.plan.predicted.total);
  if (job.embeddings) log(LogEvent::reused, "the embeddings of these prompts are at hand");
  result.used = kept(weights_);
  Arena arena(work_memory_), host_arena(host_memory_);
  Ops op(*device_, arena, host_arena, {.dtype = dtype_, .stop = callbacks.stop});
  const double begun = before + clock.seconds();
  result.seconds.load = begun;
  const Seconds beforehand = result.plan.predicted;
  if (Seconds& predicted = result.plan.predicted; predicted.total > 0) {  // opening is over, and known
    predicted.load += begun;
    predicted.total += begun;
  }
  const Clock drawing(*device_);
  others_.restart();
  const auto encoded = [&](const HostEmbeddings& embeddings) {
    log(LogEvent::encoded, "prompts are encoded", std::ssize(embeddings.tokens), drawing.seconds());
    report_not_kept(callbacks, "the embeddings of this prompt", embeddings_.keep(request.ids(), embeddings));
  };
  const Listener listener{.callbacks = callbacks, .series = series, .encoded = encoded, .log = options_.log};
  const Drawn drawn = draw(op, job, weights_, placed.run_plan, listener, result);
  if (!std::exchange(loaded_, true))
    log(LogEvent::loaded, "the weights that stay are loaded", weights_.resident_bytes(), result.seconds.load - begun);
  device_bytes(device_->on_host(), result.used) += arena.peak();
  result.used.host += host_arena.peak();
  result.seconds.total = before + clock.seconds();
  const std::optional<Message> slow = why_slow(result.plan, options_, placed.run_plan.batch, drawn.step_seconds);
  if (slow && !was_slow_ && callbacks.warning) callbacks.warning(*slow);
  was_slow_ = slow.has_value();
  if (rates_ && !callbacks.trace)
    report_not_kept(callbacks, "the rates of this machine", learn_from(result, beforehand, begun, is_first));
  others_.restart();
  return result;
}

HostEmbeddings Worker::encode(const ResolvedRequest& request, const Callbacks& callbacks) {
  const Job job = job_of(request, callbacks.stop);
  if (job.embeddings) {
    log(LogEvent::reused, "the embeddings of these prompts are at hand");
    return *job.embeddings;
  }
  make_room(job);
  const Clock clock(*device_);
  Arena arena(work_memory_), host_arena(host_memory_);
  Ops op(*device_, arena, host_arena, {.dtype = dtype_, .stop = callbacks.stop});
  HostEmbeddings embeddings;
  const Listener listener{.callbacks = callbacks,
                          .series = {.pictures = request.asked().count},
                          .encoded = [&](const HostEmbeddings& encoded) { embeddings = encoded; }};
  fude::encode(op, job, weights_, listener);
  log(LogEvent::encoded, "prompts are encoded", std::ssize(embeddings.tokens), clock.seconds());
  report_not_kept(callbacks, "the embeddings of this prompt", embeddings_.keep(request.ids(), embeddings));
  return embeddings;
}

// `begun`: seconds of loading before it was predicted. What is loaded once is not loaded by later requests. Empty, or why it is
// not kept.
std::string Worker::learn_from(const Result& result, Seconds predicted, double begun, bool is_first) {
  if (others_.disturb()) return {};
  Seconds taken = result.seconds;
  taken.load -= begun;
  if (!is_first) predicted.load = predicted.encode = 0;
  if (!learn(*rates_, predicted, taken, has_host_offloaded(result.plan))) return {};
  return keep_rates(info_, dtype_, options_.calibration, *rates_);
}

void Worker::report_not_kept(const Callbacks& callbacks, const std::string& what, const std::string& why) {
  if (why.empty()) return;
  log(LogEvent::not_kept, what + ": " + why);
  if (callbacks.not_kept && not_kept_.insert(what).second) callbacks.not_kept(what + ": " + why);
}

}  // namespace fude
