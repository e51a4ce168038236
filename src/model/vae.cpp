#include "model/vae.h"

#include <cmath>

namespace fude {

namespace {

constexpr float kEps = 1e-6f;

Resnet load_resnet(Loader file) {
  Resnet resnet{.norm1 = file.norm("norm1"), .norm2 = file.norm("norm2"), .conv1 = file.conv("conv1"), .conv2 = file.conv("conv2"),
                .shortcut = {}};
  if (file.contains("conv_shortcut.weight")) resnet.shortcut = file.conv("conv_shortcut");
  return resnet;
}

Decoder load_decoder(Loader& whole, const VaeGeometry& g) {
  Loader file = whole.at("decoder.");
  Decoder decoder{.conv_in = file.conv("conv_in"),
                  .mid1 = load_resnet(file.at("mid_block.resnets.0.")),
                  .mid2 = load_resnet(file.at("mid_block.resnets.1.")),
                  .attention = {},
                  .up = {},
                  .norm_out = file.norm("conv_norm_out"),
                  .conv_out = file.conv("conv_out")};
  if (Loader mid = file.at("mid_block.attentions.0."); mid.contains("to_q.weight"))
    decoder.attention = {.norm = mid.norm("group_norm"), .qkv = mid.linear({"to_q", "to_k", "to_v"}), .out = mid.linear("to_out.0")};
  for (size_t i = 0; i < g.block_out_channels.size(); ++i) {
    Loader block = file.at("up_blocks." + std::to_string(i) + ".");
    UpBlock up;
    for (int64_t j = 0; j <= g.layers_per_block; ++j) up.resnets.push_back(load_resnet(block.at("resnets." + std::to_string(j) + ".")));
    if (block.contains("upsamplers.0.conv.weight")) up.upsample = block.conv("upsamplers.0.conv", /*upsample=*/true);
    decoder.up.push_back(std::move(up));
  }
  return decoder;
}

// x + conv2(silu(norm(conv1(silu(norm(x)))))): in place where the number of channels stays, else a new tensor.
Tensor resnet(Backend& op, const Resnet& w, const Tensor& x, int64_t groups) {
  Tensor out = w.shortcut ? op.conv2d(x, *w.shortcut) : x;
  auto scratch = op.scope();
  Tensor h = op.empty({x.dim(0), x.dim(1), x.dim(2), w.conv1.weight.shape.out});
  {
    auto normalised = op.scope();
    op.conv2d_into(h, op.group_norm(x, w.norm1, groups, kEps, Activation::silu), w.conv1);
  }
  op.conv2d_into(out, op.group_norm(h, w.norm2, groups, kEps, Activation::silu), w.conv2, {.accumulate = true});
  return out;
}

// One head over all pixels, in place.
void attention(Backend& op, const VaeAttention& w, const Tensor& x, int64_t groups) {
  auto scratch = op.scope();
  const int64_t b = x.dim(0), pixels = x.dim(1) * x.dim(2), c = x.dim(3);
  Tensor qkv = op.linear(op.group_norm(x, w.norm, groups, kEps, Activation::none).view({b, pixels, c}), w.qkv);
  Tensor attn = op.attention(qkv.columns(0, c), qkv.columns(c, 2 * c), qkv.columns(2 * c, 3 * c),
                             {.heads = 1, .scale = 1.0f / std::sqrt(static_cast<float>(c)), .causal = false, .bias = {}});
  op.linear_into(x.view({b, pixels, c}), attn, w.out, {.accumulate = true});
}

}  // namespace

Vae::Vae(Backend& op, const Checkpoint& checkpoint)
    : geometry(checkpoint.vae()),
      decoder(op, checkpoint, Component::vae, [g = geometry](Loader& file) { return load_decoder(file, g); }) {}

Tensor vae_decode(Backend& op, Vae& vae, const Tensor& latents, const VaeProbe& probe) {
  const auto turn = vae.decoder.turns(1);
  const Decoder& w = *vae.decoder;
  const int64_t groups = vae.geometry.groups;
  const int64_t zoom = int64_t{1} << (vae.geometry.block_out_channels.size() - 1);
  Tensor pixels = op.empty({latents.dim(0), latents.dim(2) * zoom, latents.dim(3) * zoom, w.conv_out.weight.shape.out}, DType::f32);

  auto scratch = op.scope();
  Tensor x = op.conv2d(op.to_nhwc(latents, 1.0f / vae.geometry.scaling_factor, vae.geometry.shift_factor), w.conv_in);
  x = resnet(op, w.mid1, x, groups);
  if (w.attention) attention(op, *w.attention, x, groups);
  x = resnet(op, w.mid2, x, groups);
  if (probe) probe("mid", x);
  for (size_t i = 0; i < w.up.size(); ++i) {
    for (const Resnet& r : w.up[i].resnets) x = resnet(op, r, x, groups);
    if (w.up[i].upsample) x = op.conv2d(x, *w.up[i].upsample, {.upsample = true});
    if (probe) probe("up." + std::to_string(i), x);
  }
  op.copy(pixels, op.conv2d(op.group_norm(x, w.norm_out, groups, kEps, Activation::silu), w.conv_out));
  return pixels;
}

}  // namespace fude
