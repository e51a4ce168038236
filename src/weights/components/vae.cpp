// The autoencoder on disk and in memory.
#include "weights/components/vae.h"

#include <string>
#include <utility>

#include "weights/geometry.h"
#include "weights/quote.h"

namespace fude {

namespace {

constexpr std::string_view kPrefixes[] = {"first_stage_model.", "vae.", ""};

// {s} is encoder or decoder. The decoder counts its blocks from the other end.
constexpr Row kOriginal[] = {
    {"{s}.conv_in.{t}", {"{s}.conv_in.{t}"}},
    {"{s}.conv_norm_out.{t}", {"{s}.norm_out.{t}"}},
    {"{s}.conv_out.{t}", {"{s}.conv_out.{t}"}},
    {"{s}.mid_block.resnets.0.{t}", {"{s}.mid.block_1.{t}"}},
    {"{s}.mid_block.resnets.1.{t}", {"{s}.mid.block_2.{t}"}},
    {"{s}.mid_block.attentions.0.group_norm.{t}", {"{s}.mid.attn_1.norm.{t}"}},
    {"{s}.mid_block.attentions.0.to_q.{t}", {"{s}.mid.attn_1.q.{t}"}, Op::squeeze},
    {"{s}.mid_block.attentions.0.to_k.{t}", {"{s}.mid.attn_1.k.{t}"}, Op::squeeze},
    {"{s}.mid_block.attentions.0.to_v.{t}", {"{s}.mid.attn_1.v.{t}"}, Op::squeeze},
    {"{s}.mid_block.attentions.0.to_out.0.{t}", {"{s}.mid.attn_1.proj_out.{t}"}, Op::squeeze},
    {"encoder.down_blocks.{i}.resnets.{j}.conv_shortcut.{t}", {"encoder.down.{i}.block.{j}.nin_shortcut.{t}"}},
    {"encoder.down_blocks.{i}.resnets.{j}.{t}", {"encoder.down.{i}.block.{j}.{t}"}},
    {"encoder.down_blocks.{i}.downsamplers.0.conv.{t}", {"encoder.down.{i}.downsample.conv.{t}"}},
    {"decoder.up_blocks.{i}.resnets.{j}.conv_shortcut.{t}", {"decoder.up.{last-i}.block.{j}.nin_shortcut.{t}"}},
    {"decoder.up_blocks.{i}.resnets.{j}.{t}", {"decoder.up.{last-i}.block.{j}.{t}"}},
    {"decoder.up_blocks.{i}.upsamplers.0.conv.{t}", {"decoder.up.{last-i}.upsample.conv.{t}"}},
};

constexpr Layout kLayouts[] = {
    {"diffusers", kAnywhere, kPrefixes, "decoder.mid_block.resnets.0.conv1.weight", "decoder.up_blocks.{i}.{t}", kAsOurs, {}},
    {"original", kAnywhere, kPrefixes, "decoder.mid.block_1.conv1.weight", "decoder.up.{i}.{t}", kOriginal, {}},
};

Resnet load_resnet(Loader file, int64_t in, int64_t out) {
  Resnet resnet{.norm1 = file.norm("norm1", in),
                .norm2 = file.norm("norm2", out),
                .conv1 = file.conv("conv1", out, in, 3),
                .conv2 = file.conv("conv2", out, out, 3),
                .shortcut = {}};
  if (in != out) resnet.shortcut = file.conv("conv_shortcut", out, in, 1);
  return resnet;
}

// Several in a row; the first changes the channels, which `channels` then says.
std::vector<Resnet> load_resnets(Loader file, int64_t count, int64_t& channels, int64_t out) {
  std::vector<Resnet> resnets;
  for (int64_t j = 0; j < count; ++j) {
    resnets.push_back(load_resnet(file.at("resnets." + std::to_string(j) + "."), channels, out));
    channels = out;
  }
  return resnets;
}

std::optional<VaeAttention> load_attention(Loader file, const VaeGeometry& g) {
  if (!g.mid_attention) return {};
  const int64_t c = g.block_out_channels.back();
  return VaeAttention{.norm = file.norm("group_norm", c),
                      .qkv = file.linear({"to_q", "to_k", "to_v"}, c, c),
                      .out = file.linear("to_out.0", c, c)};
}

}  // namespace

const std::span<const Layout> kVaeLayouts = kLayouts;

VaeGeometry vae_geometry(const ComponentTensors& tensors, const Config& config) {
  VaeGeometry g;
  g.latent_channels = shape_of(tensors, "decoder.conv_in.weight", 4)[1];
  g.channels = shape_of(tensors, "decoder.conv_out.weight", 4)[0];
  const int64_t blocks = blocks_of(tensors);
  for (int64_t i = blocks - 1; i >= 0; --i)
    g.block_out_channels.push_back(
        shape_of(tensors, "decoder.up_blocks." + std::to_string(i) + ".resnets.0.conv1.weight", 4)[0]);
  while (g.layers_per_block < kMostBlocks &&
         tensors.contains("decoder.up_blocks.0.resnets." + std::to_string(g.layers_per_block + 1) + ".conv1.weight"))
    ++g.layers_per_block;
  g.mid_attention = tensors.contains("decoder.mid_block.attentions.0.to_q.weight");
  g.groups = config.integer("norm_num_groups", 32, 1, kLargestExtent);
  for (const int64_t channels : g.block_out_channels) check_divides(tensors, g.groups, channels, "groups");
  // A file that leaves a factor out means diffusers' default, no file means the released model's.
  const bool released = config.path().empty();
  g.scaling_factor = static_cast<float>(config.number("scaling_factor", released ? 1.5305 : 0.18215, 1e-4, 1e4));
  g.shift_factor = static_cast<float>(config.number("shift_factor", released ? 0.0609 : 0, -1e4, 1e4));

  config.expect("latent_channels", g.latent_channels);
  config.expect("out_channels", g.channels);
  config.expect("layers_per_block", g.layers_per_block);
  const auto channels = config.integers("block_out_channels", 1, kLargestExtent);
  if (!channels.empty() && channels != g.block_out_channels)
    config.fail("block_out_channels",
                "is " + text_of_shape(channels) + ", but the tensors say " + text_of_shape(g.block_out_channels));
  if (config.boolean("mid_block_add_attention", g.mid_attention) != g.mid_attention)
    config.fail("mid_block_add_attention",
                std::string("is ") + (g.mid_attention ? "false" : "true") + ", but the tensors say otherwise");
  if (config.boolean("use_post_quant_conv", false))
    config.fail("use_post_quant_conv", "is true; no VAE of Stable Diffusion 3.5 has that convolution");
  if (const std::string act = config.text("act_fn", "silu"); act != "silu")
    config.fail("act_fn", "is " + shown(act) + "; fude knows silu");
  for (const std::string_view key : {"latents_mean", "latents_std"})
    if (config.has(key)) config.fail(key, "is given; no VAE of Stable Diffusion 3.5 has it");
  return g;
}

Encoder load_encoder(Loader& whole, const VaeGeometry& g) {
  Loader file = whole.at("encoder.");
  const int64_t outer = g.block_out_channels.front();
  const int64_t inner = g.block_out_channels.back();
  Encoder encoder{.conv_in = file.conv("conv_in", outer, g.channels, 3),
                  .down = {},
                  .mid1 = load_resnet(file.at("mid_block.resnets.0."), inner, inner),
                  .mid2 = load_resnet(file.at("mid_block.resnets.1."), inner, inner),
                  .attention = load_attention(file.at("mid_block.attentions.0."), g),
                  .norm_out = file.norm("conv_norm_out", inner),
                  .conv_out = file.conv("conv_out", 2 * g.latent_channels, inner, 3)};
  int64_t channels = outer;
  for (size_t i = 0; i < g.block_out_channels.size(); ++i) {
    Loader block = file.at("down_blocks." + std::to_string(i) + ".");
    DownBlock down{.resnets = load_resnets(block, g.layers_per_block, channels, g.block_out_channels[i]), .downsample = {}};
    if (i + 1 < g.block_out_channels.size()) down.downsample = block.conv("downsamplers.0.conv", channels, channels, 3);
    encoder.down.push_back(std::move(down));
  }
  return encoder;
}

Decoder load_decoder(Loader& whole, const VaeGeometry& g) {
  Loader file = whole.at("decoder.");
  const int64_t outer = g.block_out_channels.front();
  const int64_t inner = g.block_out_channels.back();
  Decoder decoder{.conv_in = file.conv("conv_in", inner, g.latent_channels, 3),
                  .mid1 = load_resnet(file.at("mid_block.resnets.0."), inner, inner),
                  .mid2 = load_resnet(file.at("mid_block.resnets.1."), inner, inner),
                  .attention = {},
                  .up = {},
                  .norm_out = file.norm("conv_norm_out", outer),
                  .conv_out = file.conv("conv_out", g.channels, outer, 3)};
  decoder.attention = load_attention(file.at("mid_block.attentions.0."), g);
  int64_t channels = inner;
  for (size_t i = 0; i < g.block_out_channels.size(); ++i) {
    Loader block = file.at("up_blocks." + std::to_string(i) + ".");
    const int64_t out = *(g.block_out_channels.rbegin() + static_cast<std::ptrdiff_t>(i));
    UpBlock up{.resnets = load_resnets(block, g.layers_per_block + 1, channels, out), .upsample = {}};
    if (i + 1 < g.block_out_channels.size())
      up.upsample = block.conv("upsamplers.0.conv", channels, channels, 3, /*upsample=*/true);
    decoder.up.push_back(std::move(up));
  }
  return decoder;
}

void load_all(Loader& file, const VaeGeometry& g) {
  load_encoder(file, g);
  load_decoder(file, g);
}

}  // namespace fude
