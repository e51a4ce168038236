// MMDiT-X on disk and in memory.
#include "weights/components/mmdit.h"

#include <algorithm>
#include <string>

#include "weights/geometry.h"
#include "weights/quote.h"

namespace fude {

namespace {

constexpr std::string_view kIgnored[] = {kScaledMarker};
constexpr std::string_view kPrefixes[] = {"model.diffusion_model.", ""};

constexpr Row kOriginal[] = {
    {"pos_embed", {"pos_embed"}, Op::squeeze},
    {"{t}", {"{t}"}},
};

constexpr Row kDiffusers[] = {
    {"pos_embed", {"pos_embed.pos_embed"}, Op::squeeze},
    {"x_embedder.proj.{t}", {"pos_embed.proj.{t}"}},
    {"t_embedder.mlp.0.{t}", {"time_text_embed.timestep_embedder.linear_1.{t}"}},
    {"t_embedder.mlp.2.{t}", {"time_text_embed.timestep_embedder.linear_2.{t}"}},
    {"y_embedder.mlp.0.{t}", {"time_text_embed.text_embedder.linear_1.{t}"}},
    {"y_embedder.mlp.2.{t}", {"time_text_embed.text_embedder.linear_2.{t}"}},
    {"context_embedder.{t}", {"context_embedder.{t}"}},
    {"final_layer.adaLN_modulation.1.{t}", {"norm_out.linear.{t}"}, Op::swap_halves},
    {"final_layer.linear.{t}", {"proj_out.{t}"}},

    {"joint_blocks.{i}.x_block.adaLN_modulation.1.{t}", {"transformer_blocks.{i}.norm1.linear.{t}"}},
    {"joint_blocks.{i}.x_block.attn.qkv.{t}",
     {"transformer_blocks.{i}.attn.to_q.{t}", "transformer_blocks.{i}.attn.to_k.{t}", "transformer_blocks.{i}.attn.to_v.{t}"}},
    {"joint_blocks.{i}.x_block.attn.ln_q.{t}", {"transformer_blocks.{i}.attn.norm_q.{t}"}},
    {"joint_blocks.{i}.x_block.attn.ln_k.{t}", {"transformer_blocks.{i}.attn.norm_k.{t}"}},
    {"joint_blocks.{i}.x_block.attn.proj.{t}", {"transformer_blocks.{i}.attn.to_out.0.{t}"}},
    {"joint_blocks.{i}.x_block.attn2.qkv.{t}",
     {"transformer_blocks.{i}.attn2.to_q.{t}", "transformer_blocks.{i}.attn2.to_k.{t}",
      "transformer_blocks.{i}.attn2.to_v.{t}"}},
    {"joint_blocks.{i}.x_block.attn2.ln_q.{t}", {"transformer_blocks.{i}.attn2.norm_q.{t}"}},
    {"joint_blocks.{i}.x_block.attn2.ln_k.{t}", {"transformer_blocks.{i}.attn2.norm_k.{t}"}},
    {"joint_blocks.{i}.x_block.attn2.proj.{t}", {"transformer_blocks.{i}.attn2.to_out.0.{t}"}},
    {"joint_blocks.{i}.x_block.mlp.fc1.{t}", {"transformer_blocks.{i}.ff.net.0.proj.{t}"}},
    {"joint_blocks.{i}.x_block.mlp.fc2.{t}", {"transformer_blocks.{i}.ff.net.2.{t}"}},

    // The last block's text side only feeds attention: two vectors instead of six, and diffusers has them the other way round.
    {"joint_blocks.{last}.context_block.adaLN_modulation.1.{t}",
     {"transformer_blocks.{last}.norm1_context.linear.{t}"},
     Op::swap_halves},
    {"joint_blocks.{i}.context_block.adaLN_modulation.1.{t}", {"transformer_blocks.{i}.norm1_context.linear.{t}"}},
    {"joint_blocks.{i}.context_block.attn.qkv.{t}",
     {"transformer_blocks.{i}.attn.add_q_proj.{t}", "transformer_blocks.{i}.attn.add_k_proj.{t}",
      "transformer_blocks.{i}.attn.add_v_proj.{t}"}},
    {"joint_blocks.{i}.context_block.attn.ln_q.{t}", {"transformer_blocks.{i}.attn.norm_added_q.{t}"}},
    {"joint_blocks.{i}.context_block.attn.ln_k.{t}", {"transformer_blocks.{i}.attn.norm_added_k.{t}"}},
    {"joint_blocks.{i}.context_block.attn.proj.{t}", {"transformer_blocks.{i}.attn.to_add_out.{t}"}},
    {"joint_blocks.{i}.context_block.mlp.fc1.{t}", {"transformer_blocks.{i}.ff_context.net.0.proj.{t}"}},
    {"joint_blocks.{i}.context_block.mlp.fc2.{t}", {"transformer_blocks.{i}.ff_context.net.2.{t}"}},
};

constexpr Layout kLayouts[] = {
    {"diffusers", kAnywhere, kBare, "pos_embed.pos_embed", "transformer_blocks.{i}.{t}", kDiffusers, kIgnored},
    {"original", kAnywhere, kPrefixes, "joint_blocks.0.x_block.attn.qkv.weight", "joint_blocks.{i}.{t}", kOriginal, kIgnored},
};

constexpr int64_t kTimeChannels = 256;  // sines and cosines of the timestep, in every SD3

bool is_last(const MmditGeometry& g, int64_t i) { return i == g.layers - 1; }
bool is_dual(const MmditGeometry& g, int64_t i) { return g.dual[static_cast<size_t>(i)]; }

Attention load_attention(Loader file, const MmditGeometry& g, bool projected) {
  Attention attention{.qkv = file.linear("qkv", 3 * g.width, g.width), .proj = {}, .norm_q = {}, .norm_k = {}};
  if (projected) attention.proj = file.linear("proj", g.width, g.width);
  if (g.qk_norm) {
    attention.norm_q = file.vector("ln_q.weight", g.head_dim);
    attention.norm_k = file.vector("ln_k.weight", g.head_dim);
  }
  return attention;
}

// ends: nothing follows its attention.
Stream load_stream(Loader file, const MmditGeometry& g, bool dual, bool ends) {
  Stream stream{.attn = load_attention(file.at("attn."), g, !ends), .attn2 = {}, .fc1 = {}, .fc2 = {}};
  if (dual) stream.attn2 = load_attention(file.at("attn2."), g, true);
  if (ends) return stream;
  stream.fc1 = file.linear("mlp.fc1", 4 * g.width, g.width);
  stream.fc2 = file.linear("mlp.fc2", g.width, 4 * g.width);
  return stream;
}

}  // namespace

const std::span<const Layout> kMmditLayouts = kLayouts;

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

int64_t image_columns(const MmditGeometry& g, int64_t i) { return (is_dual(g, i) ? 9 : 6) * g.width; }
int64_t text_columns(const MmditGeometry& g, int64_t i) { return (is_last(g, i) ? 2 : 6) * g.width; }

Embedders load_embedders(Loader& file, const MmditGeometry& g) {
  const int64_t d = g.width;
  return {.patch = file.patch_linear("x_embedder.proj", d, g.channels, g.patch),
          .time1 = file.linear("t_embedder.mlp.0", d, kTimeChannels),
          .time2 = file.linear("t_embedder.mlp.2", d, d),
          .pooled1 = file.linear("y_embedder.mlp.0", d, g.pooled_width),
          .pooled2 = file.linear("y_embedder.mlp.2", d, d),
          .context = file.linear("context_embedder", d, g.context_width),
          .final_modulation = file.linear("final_layer.adaLN_modulation.1", 2 * d, d)};
}

ModulationWeights load_modulation(Loader& file, const MmditGeometry& g, int64_t i) {
  Loader block = file.at("joint_blocks." + std::to_string(i) + ".");
  return {.x = block.linear("x_block.adaLN_modulation.1", image_columns(g, i), g.width),
          .ctx = block.linear("context_block.adaLN_modulation.1", text_columns(g, i), g.width)};
}

JointBlock load_joint_block(Loader& file, const MmditGeometry& g, int64_t i) {
  Loader block = file.at("joint_blocks." + std::to_string(i) + ".");
  return {.x = load_stream(block.at("x_block."), g, is_dual(g, i), false),
          .ctx = load_stream(block.at("context_block."), g, false, is_last(g, i)),
          .last = is_last(g, i)};
}

FinalLayer load_final_layer(Loader& file, const MmditGeometry& g) {
  return {.proj = file.linear("final_layer.linear", g.patch * g.patch * g.out_channels, g.width)};
}

MmditTables load_tables(Loader& file, const MmditGeometry& g) {
  return {.pos_embed = file.table("pos_embed", {g.pos_embed_max * g.pos_embed_max, g.width})};
}

void load_all(Loader& file, const MmditGeometry& g) {
  load_tables(file, g);
  load_embedders(file, g);
  for (int64_t i = 0; i < g.layers; ++i) {
    load_modulation(file, g, i);
    load_joint_block(file, g, i);
  }
  load_final_layer(file, g);
}

}  // namespace fude
