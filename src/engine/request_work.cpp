#include "engine/request_work.h"

#include <vector>

#include "diffusion/samplers.h"

namespace fude {

RequestWork work_of(Backend& op, const Checkpoint& checkpoint, TextEncoders& text, Mmdit& mmdit, Vae& vae, const TokenIds& ids,
                    const Request& request, int64_t batch) {
  const MmditGeometry& g = checkpoint.mmdit();
  const int64_t zoom = int64_t{1} << (checkpoint.vae().block_out_channels.size() - 1);
  const int64_t height = request.height / zoom, width = request.width / zoom;
  Arena measuring = Arena::measuring();
  op.use(measuring);
  Work before = op.work();
  const auto since = [&] {
    const Work now = op.work(), done{now.flops - before.flops, now.seconds - before.seconds};
    before = now;
    return done;
  };

  RequestWork work;
  const TextEmbeddings embeddings = encode_text(op, checkpoint, text, ids, [](int64_t) {});
  work.encode = since();
  Conditioning conditioning = condition(op, mmdit, embeddings.tokens, height, width);
  const std::vector<float> timesteps(static_cast<size_t>(request.steps));
  modulate(op, mmdit, embed_timesteps(op, mmdit, timesteps, embeddings.pooled));
  work.conditioning = since();

  const int64_t rows = batch * embeddings.pooled.dim(0);
  conditioning.context = op.empty({rows, conditioning.context.dim(1), conditioning.context.dim(2)});
  const Tensor latents = op.empty({batch, g.channels, height, width}, DType::f32), dt = op.empty({1}, DType::f32);
  const Tensor modulation = op.empty({rows, modulation_columns(g)}, DType::f32);
  const Tensor all = op.empty({rows, g.channels, height, width}, DType::f32);
  Tensor velocity = mmdit_forward(op, mmdit, modulation, conditioning, all);
  if (rows > batch) velocity = op.guide(velocity, static_cast<float>(request.guidance));
  find_sampler(request.sampler)->step(op, latents, velocity, dt);
  work.step = since();

  op.to_bytes(vae_decode(op, vae, latents.batch(0, 1)));
  work.decode = since();
  return work;
}

}  // namespace fude
