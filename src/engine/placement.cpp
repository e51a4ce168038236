// The memory plan: what stays where, found by running requests on a measuring arena with more and more of the model left out.

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "core/system.h"
#include "engine/advice.h"
#include "engine/calibrate.h"
#include "engine/cards.h"
#include "engine/engine_state.h"
#include "engine/request.h"
#include "engine/request_work.h"

namespace fude {

namespace {

// Where no budget is given: for others, and for what a driver takes besides.
constexpr int64_t kLeaveFree = int64_t{512} << 20;

// From the fastest to the one that takes the least memory.
constexpr DecodePlan kDecodePlans[] = {{1, false}, {4, false}, {16, false}, {8, true}, {32, true}};
// What takes the least memory of the device.
const Placement kLeast{.text = false, .vae = false, .blocks = 0, .decode = {32, true}, .host_bytes = 0};

// A backend has rates while this lives.
struct Predicting {
  Predicting(Backend& backend, const Rates& rates) : op(backend) { op.predict(&rates); }
  ~Predicting() { op.predict(nullptr); }
  Backend& op;
};

constexpr int64_t kMiB = int64_t{1} << 20;
std::string mebibytes(int64_t bytes) { return std::to_string((bytes + kMiB - 1) / kMiB) + " MiB"; }

// Where the weights of one component are.
template <class... Parts>
ComponentPlan component(std::string name, std::string_view dtype, const Parts&... parts) {
  ComponentPlan plan{.name = std::move(name), .dtype = std::string(dtype)};
  const auto add = [&](const auto& part) {
    plan.weights += part.bytes();
    plan.resident += part.resident_bytes();
    plan.parts += part.size();
    plan.resident_parts += part.resident();
    plan.slots += part.slot_bytes();
    plan.in_host_memory += part.host_bytes();
  };
  (add(parts), ...);
  return plan;
}

}  // namespace

Bytes Engine::State::room() const {
  const HostMemory host = host_memory();
  const Bytes ours = kept();
  Bytes room;
  room.host = options.ram ? options.ram - besides().host : host.available + ours.host - kLeaveFree;
  if (!options.ram) room.host += waiting.size() + (backend->on_host() ? work.size() : 0);
  if (backend->on_host()) return room;
  const int64_t free = backend->device_memory().available + weights.size() + work.size();
  room.device = options.vram ? std::min(options.vram - besides().device, free) : free - kLeaveFree;
  return room;
}

Bytes Engine::State::besides() const {
  return {.host = outside + (options.ram ? kHostWork : 0), .device = backend->on_host() ? 0 : backend->outside_bytes()};
}

Bytes Engine::State::kept() const {
  int64_t bytes = text.resident_bytes() + mmdit.resident_bytes() + vae.decoder.resident_bytes();
  Bytes kept;
  kept.host = mmdit.blocks.host_bytes() + vae.decoder.host_bytes();
  device_bytes(kept) += bytes;
  return kept;
}

Engine::State::Arenas Engine::State::measure(const Job& job) {
  Arena arena = Arena::measuring();
  Arena host_arena = Arena::measuring();
  backend->use(arena);
  backend->use_host(host_arena);
  Result nothing;
  draw(job, {}, nothing);
  return {arena.peak(), host_arena.peak()};
}

Bytes Engine::State::needs(const Job& job) {
  const Arenas arenas = measure(job);
  Bytes bytes = kept();
  device_bytes(bytes) += arenas.work;
  bytes.host += arenas.waiting;
  return bytes;
}

// Of the host's memory, outside every arena: embeddings that are kept, rows of the tables and T5's bias on their way.
int64_t Engine::State::host_work(const Job& job) const {
  const auto prompts = static_cast<int64_t>(job.ids.clip_l.size());
  int64_t bytes = prompts * (kClipTokens + kT5Tokens) * checkpoint.mmdit().context_width * size_of(dtype);
  if (!job.embeddings && text.t5) {
    const T5Geometry& t5 = text.t5->geometry;
    bytes += (prompts * t5.d_model + t5.heads * kT5Tokens) * kT5Tokens * size_of(DType::f32);
  }
  return bytes;
}

// ---- what stays ------------------------------------------------------------------------------------------------------------

void Engine::State::keep(const Placement& wanted) {
  placement = wanted;
  text.keep(wanted.text);
  vae.decoder.keep(wanted.vae ? 1 : 0, wanted.host_bytes);
  mmdit.keep(wanted.blocks, wanted.host_bytes - vae.decoder.host_bytes());
}

// As many of the transformer's blocks as fit into `room`. An even number of others take turns, so that in two slots the first
// of a step can be sent while the last is used.
int64_t Engine::State::most_blocks(int64_t room) {
  const int64_t layers = mmdit.blocks.size();
  const int64_t step = backend->on_host() ? 1 : 2;
  int64_t most = layers - step;
  for (; most > 0; most -= step) {
    mmdit.blocks.keep(most);
    if (mmdit.blocks.resident_bytes() <= room) return most;
  }
  return 0;
}

// What is left out first costs least: the encoders are needed once a prompt, the decoder once a picture, blocks at each step.
// Decoding in strips costs little time, and as little again where its intermediates go to the host and back.
std::optional<Placement> Engine::State::choose(const Job& job, Bytes room) {
  const int64_t layers = mmdit.blocks.size();
  int64_t all_blocks = std::numeric_limits<int64_t>::max();
  // Weights wait in what the pictures leave of the host's memory.
  const auto possible = [&](Placement wanted) -> std::optional<Placement> {
    keep(wanted);
    const Bytes needed = needs(job);
    if (wanted.blocks == layers) all_blocks = std::min(all_blocks, device_bytes(needed));
    if (!fits(needed, room)) return {};
    wanted.host_bytes = room.host - needed.host;
    return wanted;
  };
  // On the host the files already keep the encoders at hand.
  if (!backend->on_host())
    if (const auto found = possible({.text = true, .blocks = layers})) return found;
  for (const DecodePlan& decode : kDecodePlans)
    for (const bool vae_stays : {true, false})
      if (const auto found = possible({.vae = vae_stays, .blocks = layers, .decode = decode})) return found;
  std::optional<Placement> best;
  for (const DecodePlan& decode : kDecodePlans) {
    std::optional<Placement> found = possible({.vae = false, .decode = decode});
    if (!found) continue;
    found->blocks = most_blocks(device_bytes(room) - device_bytes(needs(job)));
    found->all_blocks = all_blocks;
    if (!best || found->blocks > best->blocks) best = found;
  }
  return best;
}

void Engine::State::release() {
  keep({.vae = false});
  placement.reset();
  weights = {};
  work = {};
  waiting = {};
}

void Engine::State::take_memory(const Job& job) {
  if (!weights.data()) {
    Bytes bytes = kept();
    if (!backend->on_host()) bytes.host = 0;
    weights = backend->allocate(device_bytes(bytes));
    Arena memory(weights);
    text.place(memory);
    mmdit.place(memory);
    vae.decoder.place(memory);
  }
  const Arenas arenas = measure(job);
  const auto take = [](Buffer& memory, int64_t bytes, const auto& allocate) {
    if (memory.size() == bytes) return;
    memory = {};  // first, since both may not fit
    memory = allocate(bytes);
  };
  take(work, arenas.work, [&](int64_t bytes) { return backend->allocate(bytes); });
  take(waiting, arenas.waiting, [&](int64_t bytes) { return backend->allocate_host(bytes); });
}

// Decides what stays where, or leaves it as it is where that fits, and takes the memory. Error{out_of_memory}.
void Engine::State::make_room(const Job& job) {
  for (bool again = false;; again = true) {
    try {
      if (!fits(job)) {  // earlier requests were smaller, or there were none
        release();
        const Bytes room = this->room();
        const std::optional<Placement> chosen = choose(job, room);
        if (!chosen) throw Error(Code::out_of_memory, why_not(job, room));
        keep(*chosen);
      }
      if (job.request.batch == 0) batch = default_batch(job);
      return take_memory(job);
    } catch (const Error& error) {
      release();
      // Another program may have taken what was free a moment ago.
      if (again || error.code() != Code::out_of_memory) throw;
    }
  }
}

// How many pictures are drawn at once where the request leaves it open: as many as make products faster, if they fit.
int64_t Engine::State::default_batch(const Job& job) {
  const Request& request = job.request;
  const MmditGeometry& g = checkpoint.mmdit();
  const int64_t side = vae_scale_factor() * g.patch;
  const int64_t prompts = static_cast<int64_t>(job.ids.clip_l.size());
  const int64_t rows = prompts * (request.width / side) * (request.height / side);
  batch = std::clamp<int64_t>(backend->rows_of_full_speed() / rows, 1, request.count);
  while (batch > 1 && !fits(job)) batch /= 2;
  return batch;
}

// ---- what a person is told -------------------------------------------------------------------------------------------------

// The largest request of about the same shape that fits.
std::optional<Request> Engine::State::nearest_that_fits(const Job& job, Bytes room) {
  constexpr int64_t kParts = 32, kMultiple = 16;
  std::optional<Request> best;
  for (int64_t low = 1, high = kParts - 1; low <= high;) {
    const int64_t part = (low + high) / 2;
    Request smaller = job.request;
    for (int64_t* side : {&smaller.width, &smaller.height})
      *side = std::max(kMultiple, *side * part / kParts / kMultiple * kMultiple);
    smaller.draft.reset();
    if (choose({smaller, job.ids, job.embeddings}, room)) {
      best = smaller;
      low = part + 1;
    } else {
      high = part - 1;
    }
  }
  return best;
}

Message Engine::State::why_not(const Job& job, Bytes room) {
  keep(kLeast);
  const Bytes least = needs(job);
  const bool of_host = least.host > room.host || backend->on_host();
  const auto of = [&](const Bytes& bytes) { return of_host ? bytes.host : bytes.device; };
  const int64_t needed = of(least) + of(besides());
  const int64_t there = of(room) + of(besides());
  const int64_t budget = of_host ? options.ram : options.vram;
  Message message;
  message.what = "a picture of " + std::to_string(job.request.width) + "x" + std::to_string(job.request.height) +
                 " needs at least " + mebibytes(needed) + " of the " + (of_host ? "computer's" : "card's") +
                 " memory, everything included, and may take " + mebibytes(std::max<int64_t>(0, there));
  if (const std::optional<Request> smaller = nearest_that_fits(job, room))
    message.remedies.push_back({.kind = Remedy::use_size, .width = smaller->width, .height = smaller->height});
  // With a budget that is less than what is free.
  if (budget > 0 && there >= budget)
    message.remedies.push_back(
        {.kind = Remedy::allow_memory, .field = of_host ? Field::ram : Field::vram, .bytes = round_budget(needed)});
  else message.remedies.push_back({Remedy::close_other_programs});
  return message;
}

Plan Engine::State::plan_of(const Job& job) {
  Plan plan{.fits = true, .request = job.request};
  plan.planned = plan.process = needs(job);
  plan.process.host += host_work(job);
  plan.budget = room();
  for (Bytes* bytes : {&plan.process, &plan.budget}) {
    bytes->host += outside;
    if (!backend->on_host()) bytes->device += backend->outside_bytes();
  }
  if (options.ram) plan.budget.host = options.ram;
  if (!job.embeddings) {
    plan.components = {component("clip_l", dtype_name, text.clip_l.blocks, text.clip_l.ends),
                       component("clip_g", dtype_name, text.clip_g.blocks, text.clip_g.ends)};
    if (text.t5) plan.components.push_back(component("t5", dtype_name, text.t5->layers, text.t5->final_norm));
  }
  plan.components.push_back(component("transformer", dtype_name, mmdit.embedders, mmdit.blocks, mmdit.final_layer));
  plan.components.push_back(component("modulation", dtype_name, mmdit.modulation));
  plan.components.push_back(component("vae", dtype_name, vae.decoder));
  plan.streamed_per_step = mmdit.blocks.bytes() - mmdit.blocks.resident_bytes();
  plan.decode_tiles =
      tile_count(job.request.height / vae_scale_factor(), job.request.width / vae_scale_factor(), tile_side(job.request));
  plan.decode_strips = placement->decode.strips;
  plan.decode_through_host = placement->decode.through_host;
  if (rates) {
    const Predicting predicting(*backend, *rates);
    const RequestWork counted = work_of(*backend, checkpoint, text, mmdit, vae, job.ids, job.request, batch, placement->decode);
    plan.predicted = predicted_seconds(counted, *rates, plan, batch);
  }
  const bool host = backend->on_host();
  plan.advice = advice_on(plan, options, placement->all_blocks + (host ? outside + kHostWork : backend->outside_bytes()),
                          host ? host_memory().total : backend->device_memory().total);
  return plan;
}

void Engine::State::measure_rates() {
  if (rates) return;
  const Bytes free = room();
  const int64_t placed = weights.size() + work.size();
  try {
    rates = options.card.empty() ? rates_of(*backend, device, options.calibration, large_weights(checkpoint),
                                            (backend->on_host() ? free.host : std::min(free.device, free.host)) - placed)
                                 : expected_rates(card_sheet(options.card));
  } catch (const Error& error) {  // memory is planned all the same
    if (error.code() != Code::out_of_memory) throw;
  }
}

// Of a size that the model draws: itself, or the largest of about its shape that fits the memory.
Size Engine::State::largest_that_fits(Request request) {
  request.draft.reset();
  const TokenIds ids = ids_of(request, {});
  const Job job{request, ids, embeddings->find(ids, dtype)};
  batch = std::max<int64_t>(1, request.batch);
  release();
  const Bytes room = this->room();
  if (!choose(job, room))
    if (const std::optional<Request> smaller = nearest_that_fits(job, room)) request = *smaller;
  release();
  return {request.width, request.height};
}

Plan Engine::State::plan(const Request& asked) {
  const Request request = filled(asked);
  Size nearest_drawn = nearest_size(request);
  if (nearest_drawn != Size{request.width, request.height}) {
    Request drawn = request;
    drawn.width = nearest_drawn.width;
    drawn.height = nearest_drawn.height;
    nearest_drawn = largest_that_fits(drawn);
  }
  check_size(request, nearest_drawn);
  const TokenIds ids = ids_of(request, {});
  const Job job{request, ids, embeddings->find(ids, dtype)};
  measure_rates();
  batch = std::max<int64_t>(1, request.batch);
  std::optional<Placement> chosen = placement;
  Message refusal;
  std::optional<Request> nearest;
  if (!fits(job)) {
    release();
    const Bytes room = this->room();
    chosen = choose(job, room);
    if (!chosen) {
      refusal = why_not(job, room);
      nearest = nearest_that_fits(job, room);
    }
    keep(chosen.value_or(kLeast));
  }
  if (request.batch == 0) batch = default_batch(job);
  Plan plan = plan_of(job);
  plan.fits = chosen.has_value();
  if (!plan.fits) {
    plan.advice = {refusal};
    plan.process = plan.planned;
    plan.process.host += besides().host;
    plan.process.device += besides().device;
  }
  plan.nearest = std::move(nearest);
  placement = chosen;
  return plan;
}

}  // namespace fude
