// The way of a request: ids, embeddings, seeded noise, denoising, decoding; planned first by running it on a measuring arena.

#include "engine/engine_state.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "diffusion/samplers.h"
#include "diffusion/schedule.h"
#include "engine/devices.h"
#include "engine/model_files.h"
#include "engine/request.h"

namespace fude {

namespace {

// Modulation rows of this many steps are computed at a time: about 2 MB a step and batch row in SD3.5-medium.
constexpr int64_t kStepsAtOnce = 64;

class Clock {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Adds the time until its end to a total; nothing while planning.
class Timed {
 public:
  explicit Timed(double* total) : total_(total) {}
  ~Timed() {
    if (total_) *total_ += clock_.seconds();
  }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  double* total_;
  Clock clock_;
};

// Pixels f32 HWC, −1…1 -> bytes, rounding half to even as torch and numpy do.
Image to_image(const std::vector<float>& pixels, int64_t width, int64_t height, uint64_t seed) {
  Image image{.width = width, .height = height, .rgb = std::vector<uint8_t>(pixels.size()), .seed = seed};
  for (size_t i = 0; i < pixels.size(); ++i)
    image.rgb[i] = static_cast<uint8_t>(std::nearbyint(std::clamp(0.5f * pixels[i] + 0.5f, 0.0f, 1.0f) * 255.0f));
  return image;
}

void trace(const Callbacks& callbacks, std::string_view name, const void* data, std::vector<int64_t> shape,
           std::string_view dtype = "f32") {
  if (callbacks.trace) callbacks.trace({name, dtype, std::move(shape), data});
}

// A tensor of any float dtype, as f32.
void trace(Backend& op, const Callbacks& callbacks, std::string_view name, const Tensor& x) {
  if (!callbacks.trace || op.measuring()) return;
  std::vector<char> raw(static_cast<size_t>(x.bytes()));
  op.download(x, raw.data());
  std::vector<float> values(static_cast<size_t>(x.numel()));
  to_f32(x.dtype, raw.data(), values.data(), x.numel());
  trace(callbacks, name, values.data(), {x.shape.begin(), x.shape.begin() + x.rank});
}

void trace_ids(const Callbacks& callbacks, const TokenIds& ids) {
  for (const auto& [name, rows] : {std::pair{"tokens.clip_l", &ids.clip_l}, std::pair{"tokens.clip_g", &ids.clip_g},
                                   std::pair{"tokens.t5", &ids.t5}}) {
    if (rows->empty()) continue;
    std::vector<int32_t> flat;
    for (const auto& row : *rows) flat.insert(flat.end(), row.begin(), row.end());
    trace(callbacks, name, flat.data(), {static_cast<int64_t>(rows->size()), static_cast<int64_t>((*rows)[0].size())}, "i32");
  }
}

std::string numbered(const char* name, int64_t i) {
  const std::string digits = std::to_string(i);
  return name + std::string(digits.size() < 3 ? 3 - digits.size() : 0, '0') + digits;
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
  constexpr char kDigits[] = "0123456789abcdef";
  for (int shift = 60; shift >= 0; shift -= 4) model_hash += kDigits[(checkpoint.identity() >> shift) & 15];
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

// Runs the request, or, on a measuring arena, finds out what it needs.
void Engine::State::draw(const Request& request, const TokenIds& ids, const Callbacks& callbacks, Result& result) {
  Backend& op = *backend;
  const bool planning = op.measuring();
  const auto timed = [&](double& total) { return Timed(planning ? nullptr : &total); };
  const auto tell = [&](Stage stage, int64_t picture, int64_t step, int64_t steps) {
    if (!planning && callbacks.progress) callbacks.progress({stage, picture, request.count, step, steps});
  };
  int64_t& weights = device_bytes(planning ? result.planned : result.used);
  const auto count_weights = [&](int64_t bytes) { weights = std::max(weights, bytes); };
  const auto weight_bytes = [&] {
    return planning ? mmdit->bytes() + vae->decoder.bytes() + text->kept_bytes()
                    : mmdit->allocated() + vae->decoder.allocated() + text->allocated();
  };
  const bool guided = request.guidance > 1;
  const int64_t height = request.height / zoom(), width = request.width / zoom(), channels = checkpoint.mmdit().channels;

  // Embeddings
  TextEmbeddings embeddings;
  {
    const auto clock = timed(result.seconds.encode);
    const int64_t encoders = checkpoint.has(Component::t5) ? 3 : 2;
    int64_t done = 0;
    tell(Stage::encode, 0, 0, encoders);
    const int64_t kept = mmdit->allocated() + vae->decoder.allocated();  // of earlier requests
    embeddings = encode_text(op, checkpoint, *text, ids, [&](int64_t bytes) {
      count_weights(kept + bytes);
      tell(Stage::encode, 0, ++done, encoders);
    });
  }
  trace(op, callbacks, "embeddings", embeddings.tokens);
  trace(op, callbacks, "pooled", embeddings.pooled);

  // Weights that stay
  if (!planning) {
    const auto clock = timed(result.seconds.load);
    const int64_t blocks = mmdit->blocks.size();
    for (int64_t i = 0; i < blocks; ++i) {
      tell(Stage::load, 0, i, blocks);
      if (mmdit->blocks.is_resident(i)) mmdit->blocks[i];
    }
    *mmdit->embedders, *mmdit->final_layer, *vae->decoder;
    tell(Stage::load, 0, blocks, blocks);
  }

  // Noise
  Tensor latents = op.empty({request.count, channels, height, width}, DType::f32);
  for (int64_t i = 0; i < request.count; ++i) {
    auto scratch = op.scope();
    op.copy(latents.batch(i, i + 1), op.noise(request.noise, request.seed + static_cast<uint64_t>(i), {1, channels, height, width}));
  }
  trace(op, callbacks, "noise", latents.batch(0, 1));

  // Denoise, some steps at a time; decode each picture after its last step
  const Conditioning conditioning = condition(op, *mmdit, embeddings.tokens, height, width);
  const Schedule schedule = make_schedule(request.steps, *request.shift, checkpoint.schedule().train_timesteps);
  const Sampler& sampler = *find_sampler(request.sampler);
  const int64_t b = guided ? 2 : 1;

  // What changes from step to step lies at fixed addresses, so that the work of a step is the same each time.
  Tensor x = op.empty({1, channels, height, width}, DType::f32);
  Tensor modulation = op.empty({b, modulation_columns(mmdit->geometry)}, DType::f32);
  Tensor dt = op.empty({1}, DType::f32);
  const auto step_once = [&] {
    auto scratch = op.scope();
    Tensor velocity;
    if (guided) {
      Tensor both = op.empty({2, channels, height, width}, DType::f32);
      op.copy(both.batch(0, 1), x);
      op.copy(both.batch(1, 2), x);
      velocity = op.guide(mmdit_forward(op, *mmdit, modulation, conditioning, both), static_cast<float>(request.guidance));
    } else {
      velocity = mmdit_forward(op, *mmdit, modulation, conditioning, x);
    }
    sampler.step(op, x, velocity, dt);
  };
  std::unique_ptr<Recording> recording;
  std::vector<std::vector<double>> step_seconds(static_cast<size_t>(request.count));

  for (int64_t begin = 0; begin < request.steps; begin += kStepsAtOnce) {
    const int64_t end = std::min(begin + kStepsAtOnce, request.steps);
    auto chunk = op.scope();
    mmdit->blocks.release_ring();  // it and the modulation's are never needed at once
    std::vector<float> steps_dt;
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
      steps_dt.push_back(schedule.sigmas[i + 1] - schedule.sigmas[i]);
    const Tensor all_dt = op.upload(steps_dt.data(), DType::f32, {end - begin});
    const Tensor modulations = [&] {
      const auto clock = timed(result.seconds.denoise);
      const std::vector<float> timesteps(schedule.timesteps.begin() + begin, schedule.timesteps.begin() + end);
      return modulate(op, *mmdit, embed_timesteps(op, *mmdit, timesteps, embeddings.pooled));
    }();
    count_weights(weight_bytes());
    mmdit->modulation.release_ring();

    for (int64_t picture = 0; picture < request.count; ++picture) {
      const Tensor kept = latents.batch(picture, picture + 1);
      op.copy(x, kept);
      tell(Stage::denoise, picture, begin, request.steps);
      for (int64_t step = begin; step < end; ++step) {
        const Clock step_clock;
        const int64_t i = step - begin;
        op.copy(modulation, modulations.rows(i * b, (i + 1) * b));
        op.copy(dt, all_dt.columns(i, i + 1));
        if (mmdit->blocks.all_resident()) op.play(recording, step_once);
        else step_once();
        if (!op.all_finite(x))
          throw Error(Code::non_finite, "the transformer produced values that are not numbers at step " + std::to_string(step + 1) +
                                            "; check its file with `fude model verify`");
        count_weights(weight_bytes());
        if (planning) break;  // every step needs the same memory
        if (picture == 0) trace(op, callbacks, numbered("latents.", step), x);
        const double seconds = step_clock.seconds();
        step_seconds[static_cast<size_t>(picture)].push_back(seconds);
        result.seconds.denoise += seconds;
        tell(Stage::denoise, picture, step + 1, request.steps);
      }
      op.copy(kept, x);
      if (end == request.steps) decode(request, picture, x, std::move(step_seconds[static_cast<size_t>(picture)]), callbacks, result);
      if (planning) return;  // every picture too
    }
  }
}

void Engine::State::decode(const Request& request, int64_t picture, const Tensor& latents, std::vector<double> step_seconds,
                           const Callbacks& callbacks, Result& result) {
  Backend& op = *backend;
  const Clock clock;
  if (callbacks.progress && !op.measuring()) callbacks.progress({Stage::decode, picture, request.count, 0, 1});
  auto scratch = op.scope();
  const Tensor decoded = vae_decode(op, *vae, latents);
  if (op.measuring()) return;
  if (!op.all_finite(decoded))
    throw Error(Code::non_finite, "the VAE produced values that are not numbers; check its file with `fude model verify`");
  std::vector<float> pixels(static_cast<size_t>(decoded.numel()));
  op.download(decoded, pixels.data());
  Image image = to_image(pixels, request.width, request.height, request.seed + static_cast<uint64_t>(picture));
  image.step_seconds = std::move(step_seconds);
  result.seconds.decode += clock.seconds();
  if (picture == 0 && callbacks.trace) {
    std::vector<float> planes(pixels.size());  // CHW, as diffusers has it
    const size_t plane = pixels.size() / 3;
    for (size_t i = 0; i < pixels.size(); ++i) planes[i % 3 * plane + i / 3] = pixels[i];
    trace(callbacks, "decoded", planes.data(), {1, 3, request.height, request.width});
    trace(callbacks, "image", image.rgb.data(), {request.height, request.width, 3}, "u8");
  }
  if (callbacks.progress) callbacks.progress({Stage::decode, picture, request.count, 1, 1});
  if (callbacks.finished) callbacks.finished(image);
  result.images.push_back(std::move(image));
}

// Where memory is counted: on the host, or on a device that has its own.
int64_t& Engine::State::device_bytes(Bytes& bytes) const { return backend->on_host() ? bytes.host : bytes.device; }

// Decides what stays in memory: of the transformer all, or as many blocks as are left room for by everything else; of the text
// encoders all or nothing, and only on a device, since on the host the mapped files already keep them at hand.
void Engine::State::place_weights(const Request& request, const TokenIds& ids) {
  constexpr int64_t kLeaveFree = int64_t{512} << 20;
  const int64_t layers = checkpoint.mmdit().layers;
  Result plan;
  text.emplace(*backend, checkpoint, false);
  mmdit.emplace(*backend, checkpoint, 0);
  measure(request, ids, plan);
  const int64_t needed = device_bytes(plan.planned), available = backend->device_memory().available;
  const int64_t room = available - kLeaveFree - needed;
  if (room < 0)
    throw Error(Code::out_of_memory, "this picture needs about " + std::to_string((needed + kLeaveFree) >> 20) + " MiB of memory and " +
                                         std::to_string(available >> 20) +
                                         " MiB are free; close other programs or ask for a smaller picture");
  const int64_t whole = Mmdit(*backend, checkpoint, layers).blocks.bytes();
  const double share = std::min(1.0, static_cast<double>(room) / static_cast<double>(whole));
  mmdit.emplace(*backend, checkpoint, static_cast<int64_t>(share * static_cast<double>(layers)));
  if (!backend->on_host() && room >= whole + TextEncoders(*backend, checkpoint, true).kept_bytes())
    text.emplace(*backend, checkpoint, true);
}

// Fills result.planned; returns the bytes of arena.
int64_t Engine::State::measure(const Request& request, const TokenIds& ids, Result& result) {
  Arena measuring = Arena::measuring();
  backend->use(measuring);
  draw(request, ids, {}, result);
  device_bytes(result.planned) += measuring.peak();
  return measuring.peak();
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

  backend->stop_when(callbacks.stop);
  if (!mmdit) {
    try {
      place_weights(request, ids);
    } catch (...) {
      mmdit.reset();
      throw;
    }
  }
  const int64_t bytes = measure(request, ids, result);
  if (activations.size() != bytes) {
    activations = {};  // first, since both may not fit
    activations = backend->allocate(bytes);
  }
  Arena arena(activations);
  backend->use(arena);
  draw(request, ids, callbacks, result);
  device_bytes(result.used) += arena.peak();
  result.seconds.total = clock.seconds();
  return result;
}

Engine::Engine(const ModelFiles& files, const EngineOptions& options) : state_(std::make_unique<State>(files, options)) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

Result Engine::generate(const Request& request, const Callbacks& callbacks) { return state_->generate(request, callbacks); }
std::vector<Result> Engine::generate(const std::vector<Request>& requests, const Callbacks& callbacks) {
  std::vector<Result> results;
  for (const Request& request : requests) results.push_back(state_->generate(request, callbacks));
  return results;
}
Request Engine::complete(const Request& request) const { return state_->complete(request); }
const std::string& Engine::device() const { return state_->device_name; }
const std::string& Engine::dtype() const { return state_->dtype_name; }
const std::string& Engine::model_name() const { return state_->model_name; }
const std::string& Engine::model_hash() const { return state_->model_hash; }

}  // namespace fude
