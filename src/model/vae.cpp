// Loading and forward pass of the VAE decoder.
#include "model/vae.h"

#include <cassert>
#include <cmath>

namespace fude {

namespace {

constexpr float kEps = 1e-6f;

Resnet load_resnet(Loader file) {
  Resnet resnet{.norm1 = file.norm("norm1"),
                .norm2 = file.norm("norm2"),
                .conv1 = file.conv("conv1"),
                .conv2 = file.conv("conv2"),
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
    decoder.attention = {
        .norm = mid.norm("group_norm"), .qkv = mid.linear({"to_q", "to_k", "to_v"}), .out = mid.linear("to_out.0")};
  for (size_t i = 0; i < g.block_out_channels.size(); ++i) {
    Loader block = file.at("up_blocks." + std::to_string(i) + ".");
    UpBlock up;
    for (int64_t j = 0; j <= g.layers_per_block; ++j)
      up.resnets.push_back(load_resnet(block.at("resnets." + std::to_string(j) + ".")));
    if (block.contains("upsamplers.0.conv.weight")) up.upsample = block.conv("upsamplers.0.conv", /*upsample=*/true);
    decoder.up.push_back(std::move(up));
  }
  return decoder;
}

// x + conv2(silu(norm(conv1(silu(norm(x)))))): in place where the number of channels stays, else a new map.
FeatureMap resnet(FeatureMaps& maps, const Resnet& w, const FeatureMap& x) {
  const FeatureMap h = maps.conv({.x = x, .norm = &w.norm1}, w.conv1);
  return maps.add_conv(x, w.shortcut, {.x = h, .norm = &w.norm2}, w.conv2);
}

// The maps of a decoder, in the order and the buffers that resnet and decode use.
std::vector<MapShape> maps_of(const Decoder& w, int64_t height, int64_t width) {
  int buffer = 0;
  std::vector<MapShape> maps = {{buffer, height, width, w.conv_in.weight.shape.out}};
  const auto resnet = [&](const Resnet& r) {
    maps.push_back({1 - buffer, height, width, r.conv1.weight.shape.out});
    if (r.shortcut) buffer = 1 - buffer;
  };
  resnet(w.mid1);
  resnet(w.mid2);
  for (const UpBlock& up : w.up) {
    for (const Resnet& r : up.resnets) resnet(r);
    if (!up.upsample) continue;
    buffer = 1 - buffer, height *= 2, width *= 2;
    maps.push_back({buffer, height, width, up.upsample->weight.shape.out});
  }
  return maps;
}

// One head over all pixels, in place.
void attention(Backend& op, const VaeAttention& w, const Tensor& x, int64_t groups) {
  auto scratch = op.scope();
  const int64_t b = x.dim(0);
  const int64_t pixels = x.dim(1) * x.dim(2);
  const int64_t c = x.dim(3);
  Tensor qkv = op.empty({b, pixels, 3 * c});
  {
    auto normalised = op.scope();
    op.linear_into(qkv, op.group_norm(x, w.norm, groups, kEps, Activation::none).view({b, pixels, c}), w.qkv);
  }
  Tensor attn = op.attention(qkv.columns(0, c), qkv.columns(c, 2 * c), qkv.columns(2 * c, 3 * c),
                             {.heads = 1, .scale = 1.0f / std::sqrt(static_cast<float>(c)), .causal = false, .bias = {}});
  op.linear_into(x.view({b, pixels, c}), attn, w.out, {.accumulate = true});
}

void decode(Backend& op, const VaeGeometry& geometry, const Decoder& w, const Tensor& latents, const DecodePlan& plan,
            const DrawRows& draw_rows, const VaeOptions& options) {
  assert(latents.dim(0) == 1);
  auto scratch = op.scope();
  FeatureMaps maps(op, plan, maps_of(w, latents.dim(2), latents.dim(3)), geometry.groups, kEps);
  const auto look = [&](const std::string& name, const FeatureMap& x) {
    if (!options.probe) return;
    auto scratch_of_probe = op.scope();
    options.probe(name, maps.on_device(x));
  };

  FeatureMap x;
  {
    auto scratch_of_latents = op.scope();
    const Tensor scaled = op.to_nhwc(latents, 1.0f / geometry.scaling_factor, geometry.shift_factor);
    x = maps.conv({.x = {.whole = scaled, .sums = {}, .buffer = 1}}, w.conv_in);
  }
  x = resnet(maps, w.mid1, x);
  if (w.attention) attention(op, *w.attention, x.whole, geometry.groups);
  x = resnet(maps, w.mid2, x);
  look("mid", x);
  for (size_t i = 0; i < w.up.size(); ++i) {
    for (const Resnet& r : w.up[i].resnets) x = resnet(maps, r, x);
    if (w.up[i].upsample) x = maps.conv({.x = x, .upsample = true}, *w.up[i].upsample);
    look("up." + std::to_string(i), x);
  }
  maps.draw({.x = x, .norm = &w.norm_out}, w.conv_out, draw_rows);
  if (options.tile_done) options.tile_done();
}

}  // namespace

Vae::Vae(Backend& op, const Checkpoint& checkpoint)
    : geometry(checkpoint.vae()),
      decoder(op, checkpoint, Component::vae, [g = geometry](Loader& file) { return load_decoder(file, g); }) {}

void vae_decode(Backend& op, Vae& vae, const Tensor& latents, const DecodePlan& plan, const DrawRows& draw_rows,
                const VaeOptions& options) {
  const auto passes = vae.decoder.stream(1);
  const Decoder& w = *vae.decoder;  // one pass for all tiles
  const DecodeTile decode_tile = [&](const Tensor& part, const DrawRows& draw_part) {
    decode(op, vae.geometry, w, part, plan, draw_part, options);
  };
  if (tile_count(latents.dim(2), latents.dim(3), options.tile_side) == 1) decode_tile(latents, draw_rows);
  else draw_in_tiles(op, latents, options.tile_side, vae.geometry.scale_factor(), decode_tile, draw_rows);
}

}  // namespace fude
