// Drawing: stage by stage, and the loop over steps, the same code in a dry run.
#include "engine/draw.h"

#include <algorithm>
#include <span>
#include <utility>

#include "diffusion/schedule.h"
#include "engine/clock.h"
#include "engine/fields.h"
#include "engine/json_text.h"
#include "engine/latents.h"
#include "engine/loop.h"
#include "engine/metadata.h"
#include "engine/pass.h"
#include "engine/picture_noise.h"
#include "engine/preview.h"
#include "engine/request.h"
#include "engine/single_picture.h"
#include "engine/size_text.h"

namespace fude {

namespace {

// Modulation rows of about this many evaluations are computed at a time: 2 MB each and batch row in SD3.5-medium.
constexpr int64_t kEvaluationsAtOnce = 64;
// A card does the first step as it comes and records the second; only those after it tell how fast steps are.
constexpr int64_t kUnusualSteps = 2;
// Latents of this many pictures are under way: about 1 MB each at 1024².
constexpr int64_t kPicturesAtOnce = 64;

std::string numbered(const char* name, int64_t i) {
  const std::string digits = std::to_string(i);
  return name + std::string(digits.size() < 3 ? 3 - digits.size() : 0, '0') + digits;
}

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
        channels_(job.model.checkpoint().mmdit().channels),
        sampler_(*find_sampler(request_.sampler)),
        guidance_(guidance_of(request_)) {}

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
  // The pictures whose latents it moved, by the evaluation that ends it.
  void preview(const Loop& loop, const Pass& pass, int64_t index, const Tensor& latents, Progress at) {
    const Evaluation& evaluation = pass.evaluations[static_cast<size_t>(index)];
    const auto step = static_cast<size_t>(pass.step_of(index));
    const auto kept = std::find(evaluation.slots.begin(), evaluation.slots.end(), denoised(evaluation.sigma));
    const auto of_pictures = [&](const Tensor& all) { return all.batch(pass.place, pass.place + latents.dim(0)); };
    copy_values(latents, after_);
    if (!evaluation.draws_noise()) follow_to_the_end(before_, after_, pass.sigmas[step], pass.sigmas[step + 1]);
    else if (kept != evaluation.slots.end()) copy_values(of_pictures(loop.slot(kept - evaluation.slots.begin())), before_);
    else take_back(before_, after_, values_of(of_pictures(loop.noise())), evaluation);
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
    const Draft* draft = request_.draft ? &*request_.draft : nullptr;
    const int64_t steps = job_.request.steps();
    const Pass pass = pass_of({.height = request_.height / vae_scale_factor,
                               .width = request_.width / vae_scale_factor,
                               .steps = steps,
                               .first = draft ? first_step(steps, draft->strength) : 0,
                               .batch = arrangement_.batch,
                               .place = request_.place,
                               .fills_up = request_.batch != 0,
                               .is_draft = false});
    std::vector<PictureNoise> random;
    for (int64_t i = begin; i < end; ++i) random.emplace_back(single_picture(request_, i));
    Tensor latents = op_.empty({n, channels_, pass.height, pass.width}, DType::f32);
    if (draft) {
      enlarge_drafts(embeddings, latents, random, pass.sigmas[static_cast<size_t>(pass.first)]);
    } else {
      for (int64_t i = 0; i < n; ++i) {
        auto scratch_of_one = op_.scope();
        op_.copy(latents.batch(i, i + 1),
                 request_.latents ? given(begin + i, pass) : noise(random[static_cast<size_t>(i)], pass));
      }
    }
    for (int64_t i = 0; i < n; ++i) at(begin + i).noise = values_of(latents.batch(i, i + 1));
    if (begin == 0) trace("noise", latents.batch(0, 1));
    denoise(pass, embeddings, latents, random, begin);
  }

  void enlarge_drafts(const TextEmbeddings& embeddings, const Tensor& latents, std::span<PictureNoise> random, float sigma) {
    const Draft& draft = *request_.draft;
    const int64_t vae_scale_factor = model_.vae_scale_factor();
    const int64_t n = latents.dim(0);
    const Size large{latents.dim(3), latents.dim(2)}, small{draft.width / vae_scale_factor, draft.height / vae_scale_factor};
    const Pass pass = pass_of({.height = small.height,
                               .width = small.width,
                               .steps = *draft.steps,
                               .first = 0,
                               .batch = draft.batch,
                               .place = draft.place,
                               .fills_up = true,
                               .is_draft = true});
    for (int64_t i = 0; i < n; ++i) {
      auto scratch = op_.scope();
      std::vector<float> drawn(static_cast<size_t>(channels_ * small.width * small.height));
      const auto known = job_.drafts.find(draft_key(request_, first_picture_ + i));
      if (known != job_.drafts.end() && known->second.size() == drawn.size()) {
        drawn = known->second;
      } else {
        std::vector<PictureNoise> random_of_draft{PictureNoise(single_picture(request_, first_picture_ + i))};
        Tensor one = op_.empty({1, channels_, small.height, small.width}, DType::f32);
        {
          auto scratch_of_noise = op_.scope();
          op_.copy(one, noise(random_of_draft[0], pass));
        }
        denoise(pass, embeddings, one, random_of_draft, first_picture_ + i);
        op_.download(one, drawn.data());
      }
      std::vector<float> fresh(static_cast<size_t>(channels_ * large.width * large.height));
      op_.download(random[static_cast<size_t>(i)].next(op_, channels_, large.height, large.width), fresh.data());
      const std::vector<float> start = planning() ? fresh : noised(resized(drawn, channels_, small, large), fresh, sigma);
      op_.copy(latents.batch(i, i + 1), op_.upload(start.data(), DType::f32, {1, channels_, large.height, large.width}));
    }
  }

  // What picture `i` begins as; in a dry run, which may be of another size, only a place for it.
  Tensor given(int64_t i, const Pass& pass) {
    const int64_t each = channels_ * pass.height * pass.width;
    return op_.upload(planning() ? nullptr : request_.latents->data() + i * each, DType::f32,
                      {1, channels_, pass.height, pass.width});
  }

  Tensor noise(PictureNoise& random, const Pass& pass) { return random.next(op_, channels_, pass.height, pass.width); }

  // With the sigmas and evaluations of its steps.
  Pass pass_of(Pass pass) const {
    const FlowSchedule flow{job_.request.shift(), model_.checkpoint().schedule().train_timesteps};
    pass.sigmas = request_.sigmas.empty() ? find_schedule(request_.schedule)->sigmas(pass.steps, flow)
                                          : shifted_sigmas(request_.sigmas, flow);
    pass.evaluations = sampler_.evaluations(Sigmas(pass.sigmas).subspan(static_cast<size_t>(pass.first)));
    return pass;
  }

  bool skips_at(const Pass& pass, int64_t evaluation) const { return guidance_.skips_at(pass.step_of(evaluation), pass.steps); }

  // ---- the loop -----------------------------------------------------------------------------------------------------------

  // Moves latents [n, …] of the pictures from `picture` on through a pass; each that is no draft is decoded after its last
  // step.
  void denoise(const Pass& pass, const TextEmbeddings& embeddings, const Tensor& latents, std::span<PictureNoise> random,
               int64_t picture) {
    const int64_t n = latents.dim(0);
    const int64_t rest = n % pass.batch;
    const Conditioning conditioning = condition_on(embeddings, pass);
    previewed_ = {-1, 0};
    const int64_t all = std::ssize(pass.evaluations);
    bool skips = false;
    for (int64_t i = 0; i < all; ++i) skips = skips || skips_at(pass, i);
    // What slots hold between two runs of steps, one after the other.
    const bool in_one_run = all <= kEvaluationsAtOnce;
    const Tensor slots = in_one_run || sampler_.slots == 0
                             ? Tensor()
                             : op_.empty({sampler_.slots * n, channels_, pass.height, pass.width}, DType::f32);
    for (int64_t begin = 0; begin < all;) {
      const int64_t end = pass.end_of_step(std::min(begin + kEvaluationsAtOnce, all) - 1);
      auto chunk = op_.scope();
      const Steps some = steps_of(pass, begin, end, embeddings, static_cast<double>(n));

      const int64_t whole = pass.fills_up ? n : n - rest;
      const int64_t batches = (whole + pass.batch - 1) / pass.batch + (whole < n ? 1 : 0);
      MmditLayers layers(op_, weights_.mmdit, (end - begin) * batches);
      const auto groups = [&](int64_t from, int64_t to, int64_t batch) {
        if (from == to) return;
        auto scratch = op_.scope();
        Loop loop(op_, weights_.mmdit.geometry, conditioning, {sampler_, guidance_, skips}, batch, pass.height, pass.width);
        const auto step_some = [&](int64_t i, int64_t end_of_some) {
          const auto count = static_cast<size_t>(end_of_some - i);
          step_through(some, layers, loop, pass, latents.batch(i, end_of_some),
                       slots ? slots.batch(i * sampler_.slots, end_of_some * sampler_.slots) : Tensor(),
                       random.subspan(static_cast<size_t>(i), count), picture + i);
        };
        const int64_t full = (to - from) / batch;
        op_.repeat(full, [&](int64_t i) { step_some(from + i * batch, from + (i + 1) * batch); });
        if (from + full * batch < to) step_some(from + full * batch, to);
      };
      groups(0, whole, pass.batch);
      groups(whole, n, rest);
      begin = end;
    }
  }

  Conditioning condition_on(const TextEmbeddings& embeddings, const Pass& pass) {
    const StageMark mark(op_, drawn_.costs.conditioning);
    return condition(op_, weights_.mmdit, *OnDevice(op_, weights_.mmdit.embedders), embeddings.tokens, pass.height, pass.width);
  }

  // Evaluations [begin, end) of a pass, whole steps of it.
  Steps steps_of(const Pass& pass, int64_t begin, int64_t end, const TextEmbeddings& embeddings, double pictures) {
    const Clock clock(op_.device());
    const StageMark mark(op_, drawn_.costs.conditioning);
    const auto train = static_cast<float>(model_.checkpoint().schedule().train_timesteps);
    std::vector<float> timesteps, coefficients;
    for (int64_t i = begin; i < end; ++i) {
      const Evaluation& evaluation = pass.evaluations[static_cast<size_t>(i)];
      timesteps.push_back(evaluation.sigma * train);
      const std::vector<float> own = coefficients_of(evaluation, sampler_.draws_noise);
      coefficients.insert(coefficients.end(), own.begin(), own.end());
    }
    const Tensor all = op_.upload(coefficients.data(), DType::f32, {end - begin, std::ssize(coefficients) / (end - begin)});
    const OnDevice embedders(op_, weights_.mmdit.embedders);
    LayerStream layers(op_, weights_.mmdit.modulation, 1);
    const Tensor temb = embed_timesteps(op_, *embedders, timesteps, embeddings.pooled);
    const Steps some{begin, end, modulate(op_, weights_.mmdit.geometry, *embedders, layers, temb), all};
    if (!planning()) {
      result_.seconds.denoise += clock.seconds();
      for (Picture& picture : pictures_) picture.denoise += clock.seconds() / pictures;
    }
    return some;
  }

  // Latents [n, …] of a batch, and what its slots held, through a run of steps.
  void step_through(const Steps& some, MmditLayers& layers, Loop& loop, const Pass& pass, const Tensor& latents,
                    const Tensor& slots, std::span<PictureNoise> random, int64_t picture) {
    const int64_t n = latents.dim(0);
    for (int64_t i = 0; i < loop.batch(); ++i) op_.copy(loop.x().batch(i, i + 1), latents.batch(i % n, i % n + 1));
    if (slots && some.begin > 0)
      for_each_slot(loop, slots, [&](const Tensor& in_loop, const Tensor& kept) { op_.copy(in_loop, kept); });
    report(Stage::denoise, picture, pass.step_of(some.begin) - pass.first, pass.to_do());
    double seconds = 0;  // of a step
    const Tensor latents_of_step = loop.x().batch(pass.place, pass.place + n);
    const auto evaluate = [&](int64_t index) {
      const int64_t step = pass.step_of(index), steps_done = step + 1 - pass.first;
      const bool begins_step = index == some.begin || pass.step_of(index - 1) != step;
      const bool shows = previews(steps_done);
      if (shows && begins_step) before_preview(latents_of_step, picture, step);
      const Clock clock(op_.device());
      draw_noise(loop, pass, index, random);
      loop.evaluate(op_, weights_.mmdit.geometry, layers, some, index, skips_at(pass, index),
                    pass.is_draft ? drawn_.costs.drafts : drawn_.costs.steps);
      const bool ends_step = pass.end_of_step(index) == index + 1;
      if (ends_step && !op_.all_finite(loop.x()))
        throw Error(Code::non_finite,
                    {.what = "the transformer produced values that are not numbers at step " + std::to_string(step + 1),
                     .where = {.component = "transformer"},
                     .remedies = {{Remedy::check_model}}});
      if (planning()) return;
      if (ends_step && picture == 0 && !pass.is_draft)
        trace(numbered("latents.", step), loop.x().batch(pass.place, pass.place + 1));
      seconds += clock.seconds();
      if (!ends_step) return;
      finish_step(std::exchange(seconds, 0), step - pass.step_of(some.begin) >= kUnusualSteps, loop.batch(), n, pass, picture);
      report(Stage::denoise, picture, steps_done, pass.to_do());
      if (shows) preview(loop, pass, index, latents_of_step, {Stage::denoise, picture, 0, steps_done, pass.to_do()});
      if (callbacks_.step && !pass.is_draft) hand_out(pass, step, latents_of_step, picture);
    };
    for (int64_t begin = some.begin; begin < some.end;) {  // runs of steps with the same rows
      int64_t end = begin + 1;
      while (end < some.end && skips_at(pass, end) == skips_at(pass, begin)) ++end;
      op_.repeat(end - begin, [&](int64_t i) { evaluate(begin + i); });
      begin = end;
    }
    if (slots && some.end < std::ssize(pass.evaluations))
      for_each_slot(loop, slots, [&](const Tensor& in_loop, const Tensor& kept) { op_.copy(kept, in_loop); });
    op_.repeat(n, [&](int64_t i) {
      op_.copy(latents.batch(i, i + 1), loop.x().batch(pass.place + i, pass.place + i + 1));
      if (some.end == std::ssize(pass.evaluations) && !pass.is_draft) decode(picture + i, latents.batch(i, i + 1));
    });
  }

  // Latents [n, …] after a step, to who may change them.
  void hand_out(const Pass& pass, int64_t step, const Tensor& latents, int64_t picture) {
    std::vector<float> values = values_of(latents);
    const std::vector<float> before = values;
    const auto train = static_cast<float>(model_.checkpoint().schedule().train_timesteps);
    callbacks_.step({{Stage::denoise, listener_.series.pictures_done + picture, listener_.series.pictures,
                      step + 1 - pass.first, pass.to_do()},
                     pass.sigmas[static_cast<size_t>(step)] * train,
                     latents.dim(0),
                     latents.dim(1),
                     latents.dim(2),
                     latents.dim(3),
                     values});
    if (values.size() != before.size())
      throw Error(Code::bad_request, {.what = "latents of a step became more or fewer", .field = Field::latents});
    if (values == before) return;
    auto scratch = op_.scope();
    op_.copy(latents, op_.upload(values.data(), DType::f32, {latents.dim(0), latents.dim(1), latents.dim(2), latents.dim(3)}));
    previewed_ = {-1, 0};  // what was kept of them is not theirs any more
  }

  // visit(of the loop, of `slots`) for each slot of each picture.
  template <class Visit>
  void for_each_slot(const Loop& loop, const Tensor& slots, const Visit& visit) const {
    const int64_t n = slots.dim(0) / sampler_.slots;
    for (int64_t slot = 0; slot < sampler_.slots; ++slot)
      for (int64_t i = 0; i < loop.batch(); ++i) {
        const int64_t kept = i % n * sampler_.slots + slot;
        visit(loop.slot(slot).batch(i, i + 1), slots.batch(kept, kept + 1));
      }
  }

  // Each picture's own, for each of its rows.
  void draw_noise(Loop& loop, const Pass& pass, int64_t index, std::span<PictureNoise> random) {
    if (!sampler_.draws_noise) return;
    if (!planning() && !pass.evaluations[static_cast<size_t>(index)].draws_noise()) return;
    const auto n = static_cast<int64_t>(random.size());
    for (int64_t i = 0; i < n; ++i) {
      auto scratch = op_.scope();
      const Tensor fresh = noise(random[static_cast<size_t>(i)], pass);
      for (int64_t row = i; row < loop.batch(); row += n) op_.copy(loop.noise().batch(row, row + 1), fresh);
    }
  }

  void finish_step(double seconds, bool is_usual, int64_t batch, int64_t n, const Pass& pass, int64_t picture) {
    result_.seconds.denoise += seconds;
    if (!pass.is_draft && is_usual) drawn_.step_seconds.push_back(seconds);
    for (int64_t i = 0; i < n; ++i) {
      Picture& one = at(picture + i);
      one.denoise += seconds / static_cast<double>(n);
      one.batch = batch;
      one.place = pass.place + i;
      if (!pass.is_draft) one.step_seconds.push_back(seconds);
    }
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
                          .embeddings = job_.request.embeddings_hash(),
                          .latents = request_.latents ? hash_of(*request_.latents) : ""};
    provenance.request.latents.reset();
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
  const Sampler& sampler_;
  const Guidance guidance_;
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
