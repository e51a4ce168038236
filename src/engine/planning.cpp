// The memory plan of a request: dry runs with candidate placements, and what a person is told about the one that is chosen.

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "core/system.h"
#include "engine/advice.h"
#include "engine/request.h"
#include "engine/worker.h"

namespace fude {

namespace {

// Where no budget is given: for others, and for what a driver takes besides.
constexpr int64_t kLeaveFree = int64_t{512} << 20;

constexpr int64_t kMiB = int64_t{1} << 20;
std::string mebibytes(int64_t bytes) { return std::to_string((bytes + kMiB - 1) / kMiB) + " MiB"; }

// Where the weights of a model's parts are.
template <class M>
void add(std::vector<ComponentPlan>& components, const M& model) {
  M::for_each_part(model, [&](std::string_view name, const auto& part) {
    if (components.empty() || components.back().name != name)
      components.push_back({.name = std::string(name), .dtype = std::string(name_of(part.format()))});
    ComponentPlan& plan = components.back();
    plan.weights += part.bytes();
    plan.resident += part.resident_bytes();
    plan.parts += part.size();
    plan.resident_parts += part.residency().resident();
    plan.slots += part.ring().bytes;
    plan.in_host_memory += part.host_bytes();
  });
}

}  // namespace

Bytes Worker::room() const {
  const HostMemory host = host_memory();
  Bytes room;
  if (options_.ram) {
    room.host = options_.ram - besides().host;
  } else {
    // And what this worker has taken already. What others have packed is taken too, and is there for this one.
    room.host = host.available - kLeaveFree + host_memory_.size() +
                model_->packed_host().bytes(device_->packing(), dense_format(dtype_));
    if (device_->on_host()) room.host += weights_memory_.size() + work_memory_.size();
  }
  if (device_->on_host()) return room;
  const int64_t free = device_->device_memory().available + weights_memory_.size() + work_memory_.size();
  room.device = options_.vram ? std::min(options_.vram - besides().device, free) : free - kLeaveFree;
  return room;
}

Bytes Worker::besides() const {
  return {.host = outside_ + (options_.ram ? kHostWork : 0), .device = device_->on_host() ? 0 : device_->outside_bytes()};
}

Bytes Worker::kept(const ModelWeights& weights) const {
  Bytes kept{.host = weights.host_bytes()};
  device_bytes(device_->on_host(), kept) += weights.resident_bytes();
  return kept;
}

Bytes Worker::needs(const ModelWeights& weights, const DryRun& run) const {
  Bytes bytes = kept(weights);
  device_bytes(device_->on_host(), bytes) += run.work;
  bytes.host += run.host_offloaded;
  return bytes;
}

// Of the host's memory, outside every arena: embeddings that are kept, rows of the tables and T5's bias on their way.
int64_t Worker::host_work(const Job& job) const {
  const int64_t prompts = job.request.prompts();
  const int64_t tokens = job.embeddings ? job.embeddings->tokens_shape[1] : job.request.ids().tokens();
  int64_t bytes = prompts * tokens * model_->checkpoint().mmdit().context_width * size_of(dtype_);
  if (!job.embeddings && weights_.text.t5) {
    const T5Geometry& t5 = weights_.text.t5->geometry;
    const int64_t n = job.request.ids().t5_tokens;
    bytes += (prompts * t5.d_model + t5.heads * n) * n * size_of(DType::f32);
  }
  return bytes;
}

StageCosts Worker::costs_of(const Job& job) const { return run(job, weights_, {.batch = job.request.batch()}).costs; }

// ---- what is resident ------------------------------------------------------------------------------------------------------

std::optional<Placement> Worker::choose(const Job& job, int64_t batch, Bytes room) const {
  ModelWeights weights = weights_;
  return choose_placement({.on_host = device_->on_host(),
                           .blocks = weights.mmdit.blocks.residency(),
                           .needed_with =
                               [&](const Placement& wanted) {
                                 weights.keep(wanted);
                                 return needs(weights, run(job, weights, {.batch = batch, .decode = wanted.decode}));
                               }},
                          room);
}

// As weights are placed already where the request fits so.
Worker::Candidate Worker::candidate_for(const Job& job, Bytes room) const {
  Candidate candidate{.placement = placement_, .weights = weights_, .run_plan = {.batch = job.request.batch()}};
  if (placement_) candidate.run_plan.decode = placement_->decode;
  if (!placement_ || !fits(needs(weights_, run(job, weights_, candidate.run_plan)), room)) {
    candidate.placement = choose(job, job.request.batch(), room);
    const Placement& chosen = candidate.placement ? *candidate.placement : kLeastMemory;
    candidate.weights.keep(chosen);
    candidate.run_plan.decode = chosen.decode;
  }
  if (job.request.asked().batch == 0) candidate.run_plan.batch = default_batch(job, candidate, room);
  return candidate;
}

// How many pictures are drawn at once where the request leaves it open: as many as make GEMMs faster, if they fit.
int64_t Worker::default_batch(const Job& job, const Candidate& candidate, Bytes room) const {
  const Request& request = job.request.asked();
  const int64_t side = model_->vae_scale_factor() * model_->checkpoint().mmdit().patch;
  const int64_t rows = job.request.prompts() * (request.width / side) * (request.height / side);
  RunPlan run_plan = candidate.run_plan;
  run_plan.batch = std::clamp<int64_t>(device_->capabilities().full_speed_rows / rows, 1, request.count);
  const auto fits_so = [&] {
    return candidate.placement && fits(needs(candidate.weights, run(job, candidate.weights, run_plan)), room);
  };
  while (run_plan.batch > 1 && !fits_so()) run_plan.batch /= 2;
  return run_plan.batch;
}

// ---- what a person is told -------------------------------------------------------------------------------------------------

// The largest size of about the same shape that fits.
std::optional<Size> Worker::nearest_that_fits(const Job& job, Bytes room) const {
  constexpr int64_t kParts = 32, kMultiple = 16;
  std::optional<Size> best;
  for (int64_t low = 1, high = kParts - 1; low <= high;) {
    const int64_t part = (low + high) / 2;
    Size smaller{job.request.asked().width, job.request.asked().height};
    for (int64_t* side : {&smaller.width, &smaller.height})
      *side = std::max(kMultiple, *side * part / kParts / kMultiple * kMultiple);
    const ResolvedRequest request = job.request.at_size(smaller);
    if (choose({job.model, request, job.embeddings, job.drafts, job.stop}, request.batch(), room)) {
      best = smaller;
      low = part + 1;
    } else {
      high = part - 1;
    }
  }
  return best;
}

Message Worker::why_not(const Job& job, Bytes room) const {
  ModelWeights weights = weights_;
  weights.keep(kLeastMemory);
  const Bytes least = needs(weights, run(job, weights, {.batch = job.request.batch(), .decode = kLeastMemory.decode}));
  const bool of_host = least.host > room.host || device_->on_host();
  const auto of = [&](const Bytes& bytes) { return of_host ? bytes.host : bytes.device; };
  const int64_t needed = of(least) + of(besides());
  const int64_t there = of(room) + of(besides());
  const int64_t budget = of_host ? options_.ram : options_.vram;
  Message message;
  message.what = "a picture of " + std::to_string(job.request.asked().width) + "x" +
                 std::to_string(job.request.asked().height) + " needs at least " + mebibytes(needed) + " of the " +
                 (of_host ? "computer's" : "card's") + " memory, everything included, and may take " +
                 mebibytes(std::max<int64_t>(0, there));
  if (const std::optional<Size> smaller = nearest_that_fits(job, room))
    message.remedies.push_back({.kind = Remedy::use_size, .width = smaller->width, .height = smaller->height});
  else if (job.request.batch() > 1 && choose(job, 1, room))
    message.remedies.push_back({Remedy::use_value, Field::batch, {"1"}});
  else message.remedies.push_back({Remedy::draw_elsewhere});
  // With a budget that is less than what is free.
  if (budget > 0 && there >= budget)
    message.remedies.push_back(
        {.kind = Remedy::allow_memory, .field = of_host ? Field::ram : Field::vram, .bytes = round_budget(needed)});
  else message.remedies.push_back({Remedy::close_other_programs});
  return message;
}

Plan Worker::plan_of(const Job& job, const Candidate& candidate) const {
  const Request& request = job.request.asked();
  const Mmdit& mmdit = candidate.weights.mmdit;
  Plan plan{.fits = candidate.placement.has_value(), .request = request};
  const DryRun counted = run(job, candidate.weights, candidate.run_plan, rates_ ? &*rates_ : nullptr);
  plan.planned = plan.process = needs(candidate.weights, counted);
  plan.process.host += host_work(job);
  plan.budget = room();
  for (Bytes* bytes : {&plan.process, &plan.budget}) {
    bytes->host += outside_;
    if (!device_->on_host()) bytes->device += device_->outside_bytes();
  }
  if (options_.ram) plan.budget.host = options_.ram;
  ModelWeights::for_each(candidate.weights, [&](const auto& model) {
    if (!encodes_text(model.source.component()) || !job.embeddings) add(plan.components, model);
  });
  plan.streamed_per_step = mmdit.blocks.bytes() - mmdit.blocks.resident_bytes();
  plan.decode_tiles =
      tile_count(request.height / model_->vae_scale_factor(), request.width / model_->vae_scale_factor(), tile_side(request));
  plan.decode_strips = candidate.run_plan.decode.strips;
  plan.decode_through_host = candidate.run_plan.decode.through_host;
  if (rates_) plan.predicted = predicted_seconds(counted.costs, *rates_, plan);
  const bool host = device_->on_host();
  const int64_t all_blocks = candidate.placement ? candidate.placement->all_blocks : 0;
  plan.advice = advice_on(plan, options_, all_blocks + (host ? outside_ + kHostWork : device_->outside_bytes()),
                          host ? host_memory().total : device_->device_memory().total);
  if (rates_ && options_.card.empty() && others_.disturb())  // not the machine of a card that is elsewhere
    plan.advice.push_back(beside_others(others_.taken(), device_->processors()));
  return plan;
}

Size Worker::largest_that_fits(const Job& job) const {
  const ResolvedRequest request = job.request.at_size({job.request.asked().width, job.request.asked().height});
  const Job undrafted{job.model, request, job.embeddings, job.drafts, job.stop};
  const Bytes room = this->room();
  if (!choose(undrafted, request.batch(), room))
    if (const std::optional<Size> smaller = nearest_that_fits(undrafted, room)) return *smaller;
  return {request.asked().width, request.asked().height};
}

Plan Worker::plan(const Job& job) const {
  const Bytes room = this->room();
  const Candidate candidate = candidate_for(job, room);
  Plan plan = plan_of(job, candidate);
  if (plan.fits) return plan;
  plan.advice = {why_not(job, room)};
  plan.process = plan.planned;  // and what the budget has to leave, so that it is seen to be too small
  plan.process.host += besides().host;
  plan.process.device += besides().device;
  if (const std::optional<Size> nearest = nearest_that_fits(job, room)) plan.nearest = job.request.at_size(*nearest).asked();
  return plan;
}

}  // namespace fude
