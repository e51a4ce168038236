// The forward pass of the VAE decoder.
#include "model/vae.h"

#include <cassert>
#include <cmath>

namespace fude {

namespace {

constexpr float kEps = 1e-6f;

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
void attention(Ops& op, const VaeAttention& w, const Tensor& x, int64_t groups) {
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

void decode(Ops& op, const VaeGeometry& geometry, const Decoder& w, const Tensor& latents, const DecodePlan& plan,
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

Vae::Vae(Device& device, WeightFormat format, const WeightSource& from)
    : source(from),
      geometry(from.geometry<VaeGeometry>()),
      decoder(device, format, from, [g = geometry](Loader& file) { return load_decoder(file, g); }) {}

void Vae::use(const WeightSource& other) {
  source = other;
  for_each_part(*this, [&](std::string_view, auto& part) { part.use(other); });
}

void vae_decode(Ops& op, const VaeGeometry& geometry, const Decoder& decoder, const Tensor& latents, const DecodePlan& plan,
                const DrawRows& draw_rows, const VaeOptions& options) {
  const DecodeTile decode_tile = [&](const Tensor& part, const DrawRows& draw_part) {
    decode(op, geometry, decoder, part, plan, draw_part, options);
  };
  if (tile_count(latents.dim(2), latents.dim(3), options.tile_side) == 1) decode_tile(latents, draw_rows);
  else draw_in_tiles(op, latents, options.tile_side, geometry.scale_factor(), decode_tile, draw_rows);
}

}  // namespace fude
