#include "engine/request_work.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "diffusion/samplers.h"
#include "diffusion/schedule.h"
#include "engine/latents.h"
#include "engine/request.h"

namespace fude {

namespace {

// A batch's step at a size of latents.
void do_step(Backend& op, Mmdit& mmdit, const Request& request, const TextEmbeddings& embeddings, int64_t batch, int64_t height,
             int64_t width) {
  auto scratch = op.scope();
  const MmditGeometry& g = mmdit.geometry;
  const int64_t prompts = embeddings.pooled.dim(0);
  const int64_t rows = batch * prompts;
  Conditioning conditioning = {.context = op.empty({rows, embeddings.tokens.dim(1), g.width}),
                               .pos = op.empty({height / g.patch * (width / g.patch), g.width}, DType::f32)};
  const Tensor latents = op.empty({batch, g.channels, height, width}, DType::f32);
  const Tensor dt = op.empty({1}, DType::f32);
  const Tensor modulation = op.empty({rows, modulation_columns(g)}, DType::f32);
  const Tensor all = op.empty({rows, g.channels, height, width}, DType::f32);
  Tensor velocity = mmdit_forward(op, mmdit, modulation, conditioning, all);
  if (prompts == 2) velocity = op.cfg(velocity, static_cast<float>(*request.guidance));
  find_sampler(request.sampler)->step(op, latents, velocity, dt);
}

// Of weights that do not stay, once: from the host's memory what is kept there, the others from their file.
double travel_seconds(const ComponentPlan& component, const Rates& rates) {
  const int64_t travels = component.weights - component.resident;
  const int64_t from_host = rates.upload > 0 ? std::min(component.in_host_memory, travels) : 0;
  return (from_host > 0 ? static_cast<double>(from_host) / rates.upload : 0) +
         static_cast<double>(travels - from_host) / rates.load;
}

}  // namespace

RequestWork work_of(Backend& op, const Checkpoint& checkpoint, TextEncoders& text, Mmdit& mmdit, Vae& vae, const TokenIds& ids,
                    const Request& request, int64_t batch, const DecodePlan& decode) {
  const int64_t vae_scale_factor = checkpoint.vae().scale_factor();
  const int64_t height = request.height / vae_scale_factor, width = request.width / vae_scale_factor;
  Arena measuring = Arena::measuring();
  Arena host = Arena::measuring();
  op.use(measuring);
  op.use_host(host);
  Work before = op.work();
  const auto since = [&] {
    const Work now = op.work();
    const Work done{now.flops - before.flops, now.seconds - before.seconds};
    before = now;
    return done;
  };

  RequestWork work;
  const TextEmbeddings embeddings = encode_text(op, checkpoint, text, ids, [] {});
  work.encode = since();
  condition(op, mmdit, embeddings.tokens, height, width);
  const std::vector<float> timesteps(static_cast<size_t>(*request.steps));
  modulate(op, mmdit, embed_timesteps(op, mmdit, timesteps, embeddings.pooled));
  work.conditioning = since();
  do_step(op, mmdit, request, embeddings, batch, height, width);
  work.step = since();
  if (const std::optional<Draft>& draft = request.draft) {
    do_step(op, mmdit, request, embeddings, draft->batch, draft->height / vae_scale_factor, draft->width / vae_scale_factor);
    work.draft_step = since();
  }
  vae_decode(op, vae, op.empty({1, checkpoint.mmdit().channels, height, width}, DType::f32), decode,
             [&](int64_t, const Tensor& pixels) { op.to_bytes(pixels); }, {.tile_side = tile_side(request)});
  work.decode = since();
  return work;
}

bool waits_on_host(const Plan& plan) {
  return std::any_of(plan.components.begin(), plan.components.end(),
                     [](const ComponentPlan& component) { return component.in_host_memory > 0; });
}

Seconds predicted_seconds(const RequestWork& work, const Rates& rates, const Plan& plan, int64_t batch) {
  const Request& request = plan.request;
  const auto together = [&](double travel, double compute) {
    return rates.upload > 0 ? std::max(travel, compute) : travel + compute;
  };
  Seconds seconds;
  double encoders = 0, blocks = 0;
  bool encodes = false;
  for (const ComponentPlan& component : plan.components) {
    const double travels = travel_seconds(component, rates);
    const double stays = static_cast<double>(component.resident) / rates.load;
    const bool encoder = component.name == "clip_l" || component.name == "clip_g" || component.name == "t5";
    encodes = encodes || encoder;
    (encoder ? encoders : seconds.load) += stays;
    if (rates.host > 0) seconds.load += static_cast<double>(component.in_host_memory) / rates.host;
    if (encoder) encoders += travels;
    else if (component.name == "transformer") blocks = travels;
    else (component.name == "vae" ? seconds.decode : seconds.denoise) += travels;
  }
  if (encodes) seconds.encode = together(encoders, work.encode.seconds);
  const auto pictures = static_cast<double>(request.count);
  const auto batches = std::ceil(pictures / static_cast<double>(batch));
  const int64_t first = request.draft ? first_step(*request.steps, request.draft->strength) : 0;
  seconds.denoise +=
      work.conditioning.seconds + batches * static_cast<double>(*request.steps - first) * together(blocks, work.step.seconds);
  if (request.draft)
    seconds.denoise += pictures * static_cast<double>(*request.draft->steps) * together(blocks, work.draft_step.seconds);
  seconds.decode += pictures * work.decode.seconds;
  seconds.load *= median_of(waits_on_host(plan) ? rates.stage_ratios.waiting : rates.stage_ratios.load);
  seconds.encode *= median_of(rates.stage_ratios.encode);
  seconds.denoise *= median_of(rates.stage_ratios.denoise);
  seconds.decode *= median_of(rates.stage_ratios.decode);
  seconds.total = seconds.load + seconds.encode + seconds.denoise + seconds.decode;
  return seconds;
}

}  // namespace fude
