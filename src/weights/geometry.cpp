// Deriving the sizes from tensor shapes, and checking them against the configs.
#include "weights/geometry.h"

#include <algorithm>
#include <string>

#include "fude/error.h"
#include "weights/quote.h"

namespace fude {

namespace {

constexpr int64_t kMostBlocks = 512;
constexpr int64_t kLargestExtent = 1 << 20;
constexpr int64_t kReleasedHeadSize = 64;

[[noreturn]] void fail(const ComponentTensors& tensors, const std::string& what) {
  const auto& stored = tensors.stored();
  const MappedFile* file = stored.empty() ? nullptr : stored.front().tensor->file;
  throw Error(Code::bad_checkpoint, "the " + std::string(name_of(tensors.layout().component)) +
                                        (file ? " in " + shown(file->path()) : "") + " " + what +
                                        ". The file is damaged or not a Stable Diffusion 3.5 model.");
}

// The shape of a tensor that every model has, with that many dimensions, none of them absurd.
std::vector<int64_t> shape_of(const ComponentTensors& tensors, const std::string& canonical, size_t dimensions) {
  const auto source = tensors.find(canonical);
  if (!source) fail(tensors, "lacks the tensor " + shown(canonical));
  const auto absurd = [](int64_t extent) { return extent < 1 || extent > kLargestExtent; };
  if (source->shape.size() != dimensions || std::any_of(source->shape.begin(), source->shape.end(), absurd))
    fail(tensors, "has " + shown(canonical) + " with the impossible shape " + text_of_shape(source->shape));
  return source->shape;
}

int64_t blocks_of(const ComponentTensors& tensors) {
  if (tensors.blocks() < 1 || tensors.blocks() > kMostBlocks)
    fail(tensors, "has " + std::to_string(tensors.blocks()) + " blocks, not between 1 and " + std::to_string(kMostBlocks));
  return tensors.blocks();
}

void check_divides(const ComponentTensors& tensors, int64_t parts, int64_t whole, const std::string& what) {
  if (parts < 1 || whole % parts != 0)
    fail(tensors, "cannot split " + std::to_string(whole) + " channels into " + std::to_string(parts) + " " + what);
}

}  // namespace

ClipGeometry clip_geometry(const ComponentTensors& tensors, const Config& config) {
  const bool is_l = tensors.layout().component == Component::clip_l;
  ClipGeometry g;
  const auto tokens = shape_of(tensors, "text_model.embeddings.token_embedding.weight", 2);
  g.vocab = tokens[0];
  g.hidden = tokens[1];
  g.positions = shape_of(tensors, "text_model.embeddings.position_embedding.weight", 2)[0];
  g.layers = blocks_of(tensors);
  g.intermediate = shape_of(tensors, "text_model.encoder.layers.0.mlp.fc1.weight", 2)[0];
  g.projection = tensors.maps("text_projection.weight") ? shape_of(tensors, "text_projection.weight", 2)[0] : g.hidden;
  g.heads = config.integer("num_attention_heads", g.hidden / kReleasedHeadSize, 1, g.hidden);
  check_divides(tensors, g.heads, g.hidden, "heads");
  g.eps = static_cast<float>(config.number("layer_norm_eps", 1e-5, 0, 0.1));
  const std::string act = config.text("hidden_act", is_l ? "quick_gelu" : "gelu");
  if (act == "quick_gelu") g.activation = Activation::quick_gelu;
  else if (act == "gelu") g.activation = Activation::gelu_erf;
  else config.fail("hidden_act", "is " + shown(act) + "; fude knows quick_gelu and gelu");
  config.expect("vocab_size", g.vocab);
  config.expect("hidden_size", g.hidden);
  config.expect("max_position_embeddings", g.positions);
  config.expect("num_hidden_layers", g.layers);
  config.expect("intermediate_size", g.intermediate);
  if (tensors.maps("text_projection.weight")) config.expect("projection_dim", g.projection);
  return g;
}

T5Geometry t5_geometry(const ComponentTensors& tensors, const Config& config) {
  T5Geometry g;
  const auto tokens = shape_of(tensors, "shared.weight", 2);
  g.vocab = tokens[0];
  g.d_model = tokens[1];
  g.layers = blocks_of(tensors);
  const auto positions = shape_of(tensors, "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", 2);
  g.buckets = positions[0];
  g.heads = positions[1];
  const int64_t inner = shape_of(tensors, "encoder.block.0.layer.0.SelfAttention.q.weight", 2)[0];
  check_divides(tensors, g.heads, inner, "heads");
  g.d_kv = inner / g.heads;
  g.d_ff = shape_of(tensors, "encoder.block.0.layer.1.DenseReluDense.wi_0.weight", 2)[0];
  if (g.buckets % 4 != 0) fail(tensors, "has " + std::to_string(g.buckets) + " position buckets, not a multiple of 4");
  g.max_distance = config.integer("relative_attention_max_distance", 128, g.buckets, 1 << 16);
  g.eps = static_cast<float>(config.number("layer_norm_epsilon", 1e-6, 0, 0.1));
  const std::string form = config.text("feed_forward_proj", "gated-gelu");
  if (form != "gated-gelu") config.fail("feed_forward_proj", "is " + shown(form) + "; fude knows gated-gelu");
  config.expect("vocab_size", g.vocab);
  config.expect("d_model", g.d_model);
  config.expect("d_kv", g.d_kv);
  config.expect("d_ff", g.d_ff);
  config.expect("num_heads", g.heads);
  config.expect("num_layers", g.layers);
  config.expect("relative_attention_num_buckets", g.buckets);
  return g;
}

MmditGeometry mmdit_geometry(const ComponentTensors& tensors, const Config& config) {
  MmditGeometry g;
  const auto patches = shape_of(tensors, "x_embedder.proj.weight", 4);
  g.width = patches[0];
  g.channels = patches[1];
  g.patch = patches[2];
  if (patches[3] != g.patch || g.patch > 64) fail(tensors, "has patches of the impossible shape " + text_of_shape(patches));
  g.context_width = shape_of(tensors, "context_embedder.weight", 2)[1];
  g.pooled_width = shape_of(tensors, "y_embedder.mlp.0.weight", 2)[1];
  const int64_t outputs = shape_of(tensors, "final_layer.linear.weight", 2)[0];
  check_divides(tensors, g.patch * g.patch, outputs, "pixels of a patch");
  g.out_channels = outputs / (g.patch * g.patch);

  const int64_t positions = shape_of(tensors, "pos_embed", 2)[0];
  while (g.pos_embed_max * g.pos_embed_max < positions) ++g.pos_embed_max;
  if (g.pos_embed_max * g.pos_embed_max != positions)
    fail(tensors, "has " + std::to_string(positions) + " positions, not a square");

  g.layers = blocks_of(tensors);
  for (int64_t i = 0; i < g.layers; ++i)
    g.dual.push_back(tensors.contains("joint_blocks." + std::to_string(i) + ".x_block.attn2.qkv.weight"));
  g.qk_norm = tensors.contains("joint_blocks.0.x_block.attn.ln_q.weight");
  g.head_dim = g.qk_norm ? shape_of(tensors, "joint_blocks.0.x_block.attn.ln_q.weight", 1)[0]
                         : config.integer("attention_head_dim", kReleasedHeadSize, 1, g.width);
  check_divides(tensors, g.head_dim, g.width, "channels of a head");
  g.heads = g.width / g.head_dim;
  g.sample_size =
      config.integer("sample_size", std::min<int64_t>(128, g.pos_embed_max * g.patch), g.patch, g.pos_embed_max * g.patch);

  config.expect("patch_size", g.patch);
  config.expect("in_channels", g.channels);
  config.expect("out_channels", g.out_channels);
  config.expect("num_layers", g.layers);
  config.expect("attention_head_dim", g.head_dim);
  config.expect("num_attention_heads", g.heads);
  config.expect("joint_attention_dim", g.context_width);
  config.expect("caption_projection_dim", g.width);
  config.expect("pooled_projection_dim", g.pooled_width);
  config.expect("pos_embed_max_size", g.pos_embed_max);
  if (!config.path().empty()) {  // in these two an absent key says something
    if (const std::string norm = config.text("qk_norm", ""); norm != (g.qk_norm ? "rms_norm" : ""))
      config.fail("qk_norm", "is " + shown(norm) + ", but the tensors say " + (g.qk_norm ? "\"rms_norm\"" : "none"));
    std::vector<bool> dual(static_cast<size_t>(g.layers));
    for (const int64_t i : config.integers("dual_attention_layers", 0, g.layers - 1)) dual[static_cast<size_t>(i)] = true;
    for (size_t i = 0; i < dual.size(); ++i)
      if (dual[i] != g.dual[i])
        config.fail("dual_attention_layers", std::string(dual[i] ? "names" : "leaves out") + " block " + std::to_string(i) +
                                                 ", whose tensors say " + (g.dual[i] ? "two attentions" : "one attention"));
  }
  return g;
}

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

ScheduleConfig schedule_config(const Config& config) {
  ScheduleConfig s;
  const std::string type = config.text("_class_name", "FlowMatchEulerDiscreteScheduler");
  if (type != "FlowMatchEulerDiscreteScheduler")
    config.fail("_class_name", "is " + shown(type) + "; fude knows FlowMatchEulerDiscreteScheduler");
  s.train_timesteps = config.integer("num_train_timesteps", s.train_timesteps, 1, 1'000'000);
  // A file that leaves the shift out means the scheduler's own default, no file means the released model's.
  s.shift = config.number("shift", config.path().empty() ? s.shift : 1.0, 1e-3, 1e3);
  s.use_dynamic_shifting = config.boolean("use_dynamic_shifting", s.use_dynamic_shifting);
  s.base_shift = config.number("base_shift", s.base_shift, -100, 100);
  s.max_shift = config.number("max_shift", s.max_shift, -100, 100);
  s.base_image_seq_len = config.integer("base_image_seq_len", s.base_image_seq_len, 1, 1 << 24);
  s.max_image_seq_len = config.integer("max_image_seq_len", s.max_image_seq_len, 1, 1 << 24);
  if (s.use_dynamic_shifting && s.base_image_seq_len == s.max_image_seq_len)
    config.fail("max_image_seq_len", "equals base_image_seq_len, so that no shift can be computed");
  const std::string shift_type = config.text("time_shift_type", "exponential");
  if (shift_type != "exponential" && shift_type != "linear")
    config.fail("time_shift_type", "is " + shown(shift_type) + "; fude knows exponential and linear");
  s.time_shift = shift_type == "linear" ? TimeShift::linear : TimeShift::exponential;
  if (config.boolean("use_karras_sigmas", false)) s.spacing = SigmaSpacing::karras;
  if (config.boolean("use_exponential_sigmas", false)) s.spacing = SigmaSpacing::exponential;
  if (config.boolean("use_beta_sigmas", false)) s.spacing = SigmaSpacing::beta;
  if (config.has("shift_terminal")) s.shift_terminal = config.number("shift_terminal", 0, 0, 1);
  s.invert_sigmas = config.boolean("invert_sigmas", false);
  s.stochastic_sampling = config.boolean("stochastic_sampling", false);
  return s;
}

}  // namespace fude
