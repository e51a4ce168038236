// Drawing: stage by stage, and the loop over steps, the same code in a dry run.
#include "engine/draw.h"

#include <algorithm>
#include <span>
#include <utility>

#include "diffusion/samplers.h"
#include "diffusion/schedule.h"
#include "engine/clock.h"
#include "engine/fields.h"
#include "engine/json_text.h"
#include "engine/latents.h"
#include "engine/metadata.h"
#include "engine/preview.h"
#include "engine/request.h"
#include "engine/single_picture.h"
#include "engine/size_text.h"

namespace fude {

namespace {

// Modulation rows of this many steps are computed at a time: about 2 MB a step and batch row in SD3.5-medium.
constexpr int64_t kStepsAtOnce = 64;
// A card does the first step as it comes and records the second; only those after it tell how fast steps are.
constexpr int64_t kUnusualSteps = 2;
// Latents of this many pictures are under way: about 1 MB each at 1024².
constexpr int64_t kPicturesAtOnce = 64;

std::string numbered(const char* name, int64_t i) {
  const std::string digits = std::to_string(i);
  return name + std::string(digits.size() < 3 ? 3 - digits.size() : 0, '0') + digits;
}

// What moves pictures from noise to latents: a schedule's steps, from the first that is done.
struct Pass {
  int64_t height, width;  // of the latents
  int64_t steps, first;
  int64_t batch, place;  // where in its batch a picture that is alone there lies
  bool fills_up;         // the last batch, with pictures that are thrown away
  bool is_draft;
};

// A batch's step, on memory that stays where it is, so that the work of a step is the same each time.
struct Loop {
  Loop(Ops& op, const Mmdit& mmdit, const Conditioning& one, bool has_guidance, int64_t batch, const Pass& pass)
      : x(op.empty({batch, mmdit.geometry.channels, pass.height, pass.width}, DType::f32)),
        modulation(op.empty({one.context.dim(0) * batch, modulation_columns(mmdit.geometry)}, DType::f32)),
        dt(op.empty({1}, DType::f32)),
        conditioning(one),
        guided(has_guidance) {
    if (batch == 1) return;
    conditioning.context = op.empty({one.context.dim(0) * batch, one.context.dim(1), one.context.dim(2)});
    for_each_row(one.context.dim(0), [&](int64_t row, int64_t of) {
      op.copy(conditioning.context.batch(row, row + 1), one.context.batch(of, of + 1));
    });
  }

  int64_t batch() const { return x.dim(0); }

  // All rows of the negative prompt come before all of the prompt.
  template <class Copy>
  void for_each_row(int64_t prompts, const Copy& copy) const {
    for (int64_t row = 0; row < prompts * batch(); ++row) copy(row, row / batch());
  }

  void step(Ops& op, const MmditGeometry& geometry, MmditLayers& layers, const Sampler& sampler, float guidance,
            StepCosts& costs) const {
    auto scratch = op.scope();
    Tensor rows = x;
    if (guided) {
      const int64_t n = batch();
      rows = op.empty({2 * n, x.dim(1), x.dim(2), x.dim(3)}, DType::f32);
      op.copy(rows.batch(0, n), x);
      op.copy(rows.batch(n, 2 * n), x);
    }
    const StageMark mark(op, costs.work);
    costs.count += op.times();
    Tensor velocity = mmdit_forward(op, geometry, layers, modulation, conditioning, rows);
    if (guided) velocity = op.cfg(velocity, guidance);
    sampler.step(op, x, velocity, dt);
  }

  Tensor x, modulation, dt;
  Conditioning conditioning;
  bool guided;
  std::unique_ptr<DeviceGraph> graph;
};

// A picture on its way.
struct Picture {
  double denoise = 0;  // seconds
  std::vector<double> step_seconds;
  int64_t batch = 1, place = 0;
  std::vector<float> noise;
};

class Drawing {
 public:
  Drawing(Ops& op, const Job& job, ModelWeights& weights, const RunPlan& run_plan, const Listener& listener, Result& result)
      : op_(op),
        job_(job),
        model_(job.model),
        request_(job.request.asked()),
        weights_(weights),
        arrangement_(run_plan),
        listener_(listener),
        callbacks_(listener.callbacks),
        result_(result),
        channels_(job.model.checkpoint().mmdit().channels) {}

  void encode() { embed(); }

  Drawn draw() {
    const TextEmbeddings embeddings = embed();
    trace("embeddings", embeddings.tokens);
    trace("pooled", embeddings.pooled);
    load();
    const int64_t whole = request_.count / kPicturesAtOnce;
    op_.repeat(whole, [&](int64_t i) { draw_some(embeddings, i * kPicturesAtOnce, (i + 1) * kPicturesAtOnce); });
    if (whole * kPicturesAtOnce < request_.count) draw_some(embeddings, whole * kPicturesAtOnce, request_.count);
    return std::move(drawn_);
  }

 private:
  bool planning() const { return op_.measuring(); }

  // ---- reporting ----------------------------------------------------------------------------------------------------------

  void report(Stage stage, int64_t picture, int64_t step, int64_t steps) const {
    if (!planning() && callbacks_.progress)
      callbacks_.progress({stage, listener_.series.pictures_done + picture, listener_.series.pictures, step, steps});
  }

  bool previews(int64_t steps_done) const {
    return !planning() && callbacks_.preview && model_.latent_rgb() &&
           steps_done % std::max<int64_t>(1, callbacks_.preview_every) == 0;
  }

  // Latents [n, …] before a step that is shown. Those after the step that was shown last are at hand.
  void before_preview(const Tensor& latents, int64_t picture, int64_t step) {
    if (std::exchange(previewed_, {picture, step + 1}) == std::pair(picture, step)) return std::swap(before_, after_);
    copy_values(latents, before_);
  }
  // The pictures whose latents it moved, between two sigmas.
  void preview(const Tensor& latents, const float* sigmas, Progress at) {
    copy_values(latents, after_);
    follow_to_the_end(before_, after_, sigmas[0], sigmas[1]);
    const int64_t n = latents.dim(0), pixels = latents.dim(2) * latents.dim(3);
    at.picture += listener_.series.pictures_done;
    at.pictures = listener_.series.pictures;
    const size_t of_one = before_.size() / static_cast<size_t>(n);
    for (size_t i = 0; i < static_cast<size_t>(n); ++i, ++at.picture) {
      const std::span<const float> one = std::span<const float>(before_).subspan(i * of_one, of_one);
      callbacks_.preview({at, latents.dim(3), latents.dim(2), rgb_of(one, pixels, *model_.latent_rgb())});
    }
  }

  void trace(std::string_view name, const Tensor& x) const {
    if (!callbacks_.trace || planning()) return;
    std::vector<char> raw(static_cast<size_t>(x.bytes()));
    op_.download(x, raw.data());
    std::vector<float> values(static_cast<size_t>(x.numel()));
    to_f32(x.dtype, raw.data(), values.data(), x.numel());
    callbacks_.trace({name, "f32", {x.shape.begin(), x.shape.begin() + x.rank}, values.data()});
  }

  // ---- before the loop ----------------------------------------------------------------------------------------------------

  TextEmbeddings embed() {
    const Clock clock(op_.device());
    if (job_.embeddings) {
      const TextEmbeddings embeddings = upload(op_, *job_.embeddings);
      if (!planning()) result_.seconds.encode += clock.seconds();
      return embeddings;
    }
    const int64_t encoders = model_.checkpoint().has(Component::t5) ? 3 : 2;
    int64_t done = 0;
    report(Stage::encode, 0, 0, encoders);
    const StageMark mark(op_, drawn_.costs.encode);
    const TextEmbeddings embeddings = encode_text(op_, model_.checkpoint(), weights_.text, job_.request.ids(),
                                                  [&] { report(Stage::encode, 0, ++done, encoders); });
    if (planning()) return embeddings;
    if (listener_.encoded) listener_.encoded(download(op_, embeddings));
    result_.seconds.encode += clock.seconds();
    return embeddings;
  }

  // Weights that stay, on the device or ready on the host.
  void load() {
    if (planning()) return;
    const Clock clock(op_.device());
    Mmdit& mmdit = weights_.mmdit;
    const int64_t blocks = mmdit.blocks.size();
    mmdit.embedders.load(op_);
    mmdit.blocks.load(op_, [&](int64_t i) { report(Stage::load, 0, i, blocks); });
    mmdit.final_layer.load(op_);
    weights_.vae.decoder.load(op_);
    report(Stage::load, 0, blocks, blocks);
    result_.seconds.load += clock.seconds();
  }

  // ---- pictures [begin, end) ----------------------------------------------------------------------------------------------

  void draw_some(const TextEmbeddings& embeddings, int64_t begin, int64_t end) {
    auto scratch = op_.scope();
    pictures_.assign(static_cast<size_t>(end - begin), {});
    first_picture_ = begin;
    const int64_t n = end - begin;
    const int64_t vae_scale_factor = model_.vae_scale_factor();
    Pass pass{request_.height / vae_scale_factor,
              request_.width / vae_scale_factor,
              job_.request.steps(),
              0,
              arrangement_.batch,
              request_.place,
              request_.batch != 0,
              false};
    Tensor latents = op_.empty({n, channels_, pass.height, pass.width}, DType::f32);
    if (request_.draft) {
      pass.first = first_step(job_.request.steps(), request_.draft->strength);
      enlarge_drafts(embeddings, latents, schedule_of(pass).sigmas[static_cast<size_t>(pass.first)]);
    } else {
      for (int64_t i = 0; i < n; ++i) {
        auto scratch_of_one = op_.scope();
        op_.copy(latents.batch(i, i + 1), noise(begin + i, pass.height, pass.width));
      }
    }
    for (int64_t i = 0; i < n; ++i) at(begin + i).noise = values_of(latents.batch(i, i + 1));
    if (begin == 0) trace("noise", latents.batch(0, 1));
    denoise(pass, embeddings, latents, begin);
  }

  void enlarge_drafts(const TextEmbeddings& embeddings, const Tensor& latents, float sigma) {
    const Draft& draft = *request_.draft;
    const int64_t vae_scale_factor = model_.vae_scale_factor();
    const int64_t n = latents.dim(0);
    const Size large{latents.dim(3), latents.dim(2)}, small{draft.width / vae_scale_factor, draft.height / vae_scale_factor};
    const Pass pass{small.height, small.width, *draft.steps, 0, draft.batch, draft.place, true, true};
    for (int64_t i = 0; i < n; ++i) {
      auto scratch = op_.scope();
      std::vector<float> drawn(static_cast<size_t>(channels_ * small.width * small.height));
      const auto known = job_.drafts.find(draft_key(request_, first_picture_ + i));
      if (known != job_.drafts.end() && known->second.size() == drawn.size()) {
        drawn = known->second;
      } else {
        Tensor one = op_.empty({1, channels_, small.height, small.width}, DType::f32);
        {
          auto scratch_of_noise = op_.scope();
          op_.copy(one, noise(first_picture_ + i, small.height, small.width));
        }
        denoise(pass, embeddings, one, first_picture_ + i);
        op_.download(one, drawn.data());
      }
      std::vector<float> fresh(static_cast<size_t>(channels_ * large.width * large.height));
      op_.download(noise(first_picture_ + i, large.height, large.width), fresh.data());
      const std::vector<float> start = planning() ? fresh : noised(resized(drawn, channels_, small, large), fresh, sigma);
      op_.copy(latents.batch(i, i + 1), op_.upload(start.data(), DType::f32, {1, channels_, large.height, large.width}));
    }
  }

  // f32 [1, channels, height, width]
  Tensor noise(int64_t picture, int64_t height, int64_t width) {
    const Request single = single_picture(request_, picture);
    const Tensor own = op_.noise(single.noise, single.seed, {1, channels_, height, width});
    if (!single.variation) return own;
    const Tensor other = op_.noise(single.noise, single.variation->seed, {1, channels_, height, width});
    const std::vector<float> between =
        planning() ? std::vector<float>() : slerp(values_of(own), values_of(other), request_.variation->amount);
    return op_.upload(between.data(), DType::f32, {1, channels_, height, width});
  }

  Schedule schedule_of(const Pass& pass) const {
    return make_schedule(pass.steps, job_.request.shift(), model_.checkpoint().schedule().train_timesteps);
  }

  // ---- the loop -----------------------------------------------------------------------------------------------------------

  // Moves latents [n, …] of the pictures from `picture` on through a pass; each that is no draft is decoded after its last
  // step.
  void denoise(const Pass& pass, const TextEmbeddings& embeddings, const Tensor& latents, int64_t picture) {
    previewed_ = {-1, 0};
    const Schedule schedule = schedule_of(pass);
    const int64_t n = latents.dim(0);
    const int64_t rest = n % pass.batch;
    const Conditioning conditioning = condition_on(embeddings, pass);
    for (int64_t begin = pass.first; begin < pass.steps; begin += kStepsAtOnce) {
      const int64_t end = std::min(begin + kStepsAtOnce, pass.steps);
      auto chunk = op_.scope();
      const Steps some = steps_of(schedule, begin, end, embeddings, static_cast<double>(n));

      const int64_t whole = pass.fills_up ? n : n - rest;
      const int64_t batches = (whole + pass.batch - 1) / pass.batch + (whole < n ? 1 : 0);
      MmditLayers layers(op_, weights_.mmdit, (end - begin) * batches);
      const auto groups = [&](int64_t from, int64_t to, int64_t batch) {
        if (from == to) return;
        auto scratch = op_.scope();
        Loop loop(op_, weights_.mmdit, conditioning, job_.request.guided(), batch, pass);
        const auto step_some = [&](int64_t i, int64_t end_of_some) {
          step_through(some, layers, loop, pass, latents.batch(i, end_of_some), picture + i);
        };
        const int64_t full = (to - from) / batch;
        op_.repeat(full, [&](int64_t i) { step_some(from + i * batch, from + (i + 1) * batch); });
        if (from + full * batch < to) step_some(from + full * batch, to);
      };
      groups(0, whole, pass.batch);
      groups(whole, n, rest);
    }
  }

  Conditioning condition_on(const TextEmbeddings& embeddings, const Pass& pass) {
    const StageMark mark(op_, drawn_.costs.conditioning);
    return condition(op_, weights_.mmdit, *OnDevice(op_, weights_.mmdit.embedders), embeddings.tokens, pass.height, pass.width);
  }

  // Steps [begin, end) of a schedule, with the modulation that all pictures share.
  struct Steps {
    int64_t begin, end;
    Tensor modulations, dt;     // f32 [steps·b, columns], [steps]
    std::vector<float> sigmas;  // before each, and after the last
  };
  Steps steps_of(const Schedule& schedule, int64_t begin, int64_t end, const TextEmbeddings& embeddings, double pictures) {
    const Clock clock(op_.device());
    const StageMark mark(op_, drawn_.costs.conditioning);
    std::vector<float> dt;
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
      dt.push_back(schedule.sigmas[i + 1] - schedule.sigmas[i]);
    const std::vector<float> timesteps(schedule.timesteps.begin() + begin, schedule.timesteps.begin() + end);
    const Tensor all_dt = op_.upload(dt.data(), DType::f32, {end - begin});
    const OnDevice embedders(op_, weights_.mmdit.embedders);
    LayerStream layers(op_, weights_.mmdit.modulation, 1);
    const Tensor temb = embed_timesteps(op_, *embedders, timesteps, embeddings.pooled);
    const Steps some{begin,
                     end,
                     modulate(op_, weights_.mmdit.geometry, *embedders, layers, temb),
                     all_dt,
                     {schedule.sigmas.begin() + begin, schedule.sigmas.begin() + end + 1}};
    if (!planning()) {
      result_.seconds.denoise += clock.seconds();
      for (Picture& picture : pictures_) picture.denoise += clock.seconds() / pictures;
    }
    return some;
  }

  void step_through(const Steps& some, MmditLayers& layers, Loop& loop, const Pass& pass, const Tensor& latents,
                    int64_t picture) {
    const int64_t n = latents.dim(0);
    const int64_t b = loop.modulation.dim(0) / loop.batch();
    const int64_t to_do = pass.steps - pass.first;
    for (int64_t i = 0; i < loop.batch(); ++i) op_.copy(loop.x.batch(i, i + 1), latents.batch(i % n, i % n + 1));
    report(Stage::denoise, picture, some.begin - pass.first, to_do);
    op_.repeat(some.end - some.begin, [&](int64_t next) {
      const int64_t step = some.begin + next;
      const int64_t steps_done = step + 1 - pass.first;
      const bool shows = previews(steps_done);
      const Tensor latents_of_step = loop.x.batch(pass.place, pass.place + n);
      if (shows) before_preview(latents_of_step, picture, step);
      const Clock clock(op_.device());
      do_step(some, layers, loop, next, b, pass.is_draft ? drawn_.costs.drafts : drawn_.costs.steps);
      if (!op_.all_finite(loop.x))
        throw Error(Code::non_finite,
                    {.what = "the transformer produced values that are not numbers at step " + std::to_string(step + 1),
                     .where = {.component = "transformer"},
                     .remedies = {{Remedy::check_model}}});
      if (planning()) return;
      if (picture == 0 && !pass.is_draft) trace(numbered("latents.", step), loop.x.batch(pass.place, pass.place + 1));
      const double seconds = clock.seconds();
      result_.seconds.denoise += seconds;
      if (!pass.is_draft && step >= some.begin + kUnusualSteps) drawn_.step_seconds.push_back(seconds);
      for (int64_t i = 0; i < n; ++i) {
        Picture& one = at(picture + i);
        one.denoise += seconds / static_cast<double>(n);
        one.batch = loop.batch();
        one.place = pass.place + i;
        if (!pass.is_draft) one.step_seconds.push_back(seconds);
      }
      report(Stage::denoise, picture, steps_done, to_do);
      const float* const sigmas = &some.sigmas[static_cast<size_t>(next)];
      if (shows) preview(latents_of_step, sigmas, {Stage::denoise, picture, 0, steps_done, to_do});
    });
    op_.repeat(n, [&](int64_t i) {
      op_.copy(latents.batch(i, i + 1), loop.x.batch(pass.place + i, pass.place + i + 1));
      if (some.end == pass.steps && !pass.is_draft) decode(picture + i, latents.batch(i, i + 1));
    });
  }

  // What changes from step to step is copied to where the loop expects it.
  void do_step(const Steps& some, MmditLayers& layers, Loop& loop, int64_t step, int64_t b, StepCosts& costs) {
    loop.for_each_row(b, [&](int64_t row, int64_t of) {
      op_.copy(loop.modulation.rows(row, row + 1), some.modulations.rows(step * b + of, step * b + of + 1));
    });
    op_.copy(loop.dt, some.dt.columns(step, step + 1));
    const auto once = [&] {
      loop.step(op_, weights_.mmdit.geometry, layers, *find_sampler(request_.sampler), job_.request.guidance(), costs);
    };
    op_.replay(loop.graph, once);
  }

  // ---- pixels -------------------------------------------------------------------------------------------------------------

  void decode(int64_t picture, const Tensor& latents) {
    const Clock clock(op_.device());
    const int64_t side = tile_side(request_);
    const int64_t tiles = tile_count(latents.dim(2), latents.dim(3), side);
    int64_t done = 0;
    report(Stage::decode, picture, done, tiles);
    auto scratch = op_.scope();
    const bool traces = picture == 0 && callbacks_.trace;
    std::vector<uint8_t> rgb(static_cast<size_t>(3 * request_.width * request_.height));
    std::vector<float> decoded(traces ? rgb.size() : 0);
    const auto draw_rows = [&](int64_t row, const Tensor& pixels) {
      const Tensor bytes = op_.to_bytes(pixels);
      if (planning()) return;
      if (!op_.all_finite(pixels))
        throw Error(Code::non_finite, {.what = "the VAE produced values that are not numbers",
                                       .where = {.component = "vae"},
                                       .remedies = {{Remedy::check_model}}});
      const int64_t first = row * 3 * request_.width;
      op_.download(bytes, rgb.data() + first);
      if (traces) op_.download(pixels, decoded.data() + first);
    };
    const StageMark mark(op_, drawn_.costs.decode);
    vae_decode(op_, weights_.vae.geometry, *OnDevice(op_, weights_.vae.decoder), latents, arrangement_.decode, draw_rows,
               {.tile_side = side, .tile_done = [&] { report(Stage::decode, picture, ++done, tiles); }});
    if (planning()) return;

    Picture& drawn = at(picture);
    Image image{.width = request_.width,
                .height = request_.height,
                .rgb = std::move(rgb),
                .seed = single_picture(request_, picture).seed,
                .request = listener_.series.request,
                .batch = drawn.batch,
                .place = drawn.place,
                .seconds = {.denoise = drawn.denoise},
                .step_seconds = std::move(drawn.step_seconds),
                .planned = result_.planned,
                .used = result_.used,
                .noise = std::move(drawn.noise),
                .latents = values_of(latents),
                .provenance = provenance_of(picture)};
    device_bytes(op_.device().on_host(), image.used) += op_.arena().peak();
    image.used.host += op_.host_arena().peak();
    image.seconds.decode = clock.seconds();
    if (picture == 0) {
      image.seconds.load = result_.seconds.load;
      image.seconds.encode = result_.seconds.encode;
      if (traces) trace_picture(image, decoded);
    }
    const Seconds& own = image.seconds;
    image.seconds.total = own.load + own.encode + own.denoise + own.decode;
    result_.seconds.decode += own.decode;
    if (listener_.log)
      listener_.log({LogEvent::drawn,
                     "a picture of " + text_of_size(image.width, image.height) + ", seed " + std::to_string(image.seed),
                     3 * image.width * image.height, own.total});
    if (callbacks_.finished) callbacks_.finished(image);
    else result_.images.push_back(std::move(image));
  }

  // The request that draws this one picture alone, in the place of the batch that it was drawn in.
  Provenance provenance_of(int64_t picture) {
    const Picture& drawn = at(picture);
    Provenance provenance{.request = single_picture(request_, picture),
                          .model = model_.name(),
                          .model_hash = model_.hash(),
                          .device = result_.device,
                          .dtype = result_.dtype,
                          .no_t5 = !model_.checkpoint().has(Component::t5),
                          .embeddings = job_.request.embeddings_hash()};
    provenance.request.batch = drawn.batch;
    provenance.request.place = drawn.place;
    return provenance;
  }

  void trace_picture(const Image& image, const std::vector<float>& pixels) const {
    std::vector<float> planes(pixels.size());  // CHW, as diffusers has it
    const size_t plane = pixels.size() / 3;
    for (size_t i = 0; i < pixels.size(); ++i) planes[i % 3 * plane + i / 3] = pixels[i];
    callbacks_.trace({"decoded", "f32", {1, 3, image.height, image.width}, planes.data()});
    callbacks_.trace({"image", "u8", {image.height, image.width, 3}, image.rgb.data()});
  }

  void copy_values(const Tensor& x, std::vector<float>& values) const {
    values.resize(static_cast<size_t>(x.numel()));
    op_.download(x, values.data());
  }
  std::vector<float> values_of(const Tensor& x) const {
    std::vector<float> values;
    copy_values(x, values);
    return values;
  }

  Picture& at(int64_t picture) { return pictures_[static_cast<size_t>(picture - first_picture_)]; }

  Ops& op_;
  const Job& job_;
  const Model& model_;
  const Request& request_;
  ModelWeights& weights_;
  const RunPlan& arrangement_;
  const Listener& listener_;
  const Callbacks& callbacks_;
  Result& result_;
  const int64_t channels_;
  Drawn drawn_;
  std::vector<Picture> pictures_;
  std::vector<float> before_, after_;                // latents of the step that is shown
  std::pair<int64_t, int64_t> previewed_ = {-1, 0};  // the first picture and the step that those after it are before
  int64_t first_picture_ = 0;
};

}  // namespace

std::string draft_key(const Request& request, int64_t picture) {
  return text_of_json(json_from(request_of_draft(request, picture)));
}

Drawn draw(Ops& op, const Job& job, ModelWeights& weights, const RunPlan& run_plan, const Listener& listener, Result& result) {
  return Drawing(op, job, weights, run_plan, listener, result).draw();
}

void encode(Ops& op, const Job& job, ModelWeights& weights, const Listener& listener) {
  const RunPlan any;
  Result nothing;
  Drawing(op, job, weights, any, listener, nothing).encode();
}

DryRun dry_run(Device& device, DType dtype, const Job& job, const ModelWeights& placed, const RunPlan& run_plan,
               const Rates* rates) {
  Arena arena = Arena::measuring();
  Arena host_arena = Arena::measuring();
  Ops op(device, arena, host_arena, {.dtype = dtype, .stop = job.stop, .rates = rates});
  ModelWeights without_contents = placed;
  Result nothing;
  DryRun run;
  run.costs = draw(op, job, without_contents, run_plan, {}, nothing).costs;
  run.work = arena.peak();
  run.host_offloaded = host_arena.peak();
  return run;
}

}  // namespace fude
