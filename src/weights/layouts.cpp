// The layout tables: diffusers, Stability AI, ComfyUI, transformers.
#include "weights/layouts.h"

#include <algorithm>

#include "weights/pattern.h"

namespace fude {

namespace {

constexpr Origin kAnywhere[] = {Origin::folder, Origin::file};
constexpr Origin kFolder[] = {Origin::folder};
constexpr Origin kFile[] = {Origin::file};

// Left over from ComfyUI's scaled fp8: the marker says that scales exist, and the scales themselves are found beside their
// weights.
constexpr std::string_view kIgnoredTransformer[] = {"scaled_fp8"};
constexpr std::string_view kIgnoredClip[] = {"scaled_fp8", "logit_scale", "text_model.embeddings.position_ids"};
constexpr std::string_view kIgnoredClipLFile[] = {"scaled_fp8", "logit_scale", "text_model.embeddings.position_ids",
                                                  "text_projection.{t}"};
constexpr std::string_view kIgnoredT5[] = {"scaled_fp8", "logit_scale", "encoder.embed_tokens.weight", "spiece_model"};

constexpr std::string_view kIgnoredOutside[] = {"text_encoders.{s}.logit_scale"};

constexpr std::string_view kBare[] = {""};
constexpr std::string_view kTransformerPrefixes[] = {"model.diffusion_model.", ""};
constexpr std::string_view kVaePrefixes[] = {"first_stage_model.", "vae.", ""};
constexpr std::string_view kClipLPrefixes[] = {"text_encoders.clip_l.transformer.", ""};
constexpr std::string_view kClipGPrefixes[] = {"text_encoders.clip_g.transformer.", ""};
constexpr std::string_view kT5Prefixes[] = {"text_encoders.t5xxl.transformer.", ""};

constexpr Row kTransformerOriginal[] = {
    {"pos_embed", {"pos_embed"}, Op::squeeze},
    {"{t}", {"{t}"}},
};

constexpr Row kTransformerDiffusers[] = {
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

constexpr Row kAsOurs[] = {{"{t}", {"{t}"}}};

// {s} is encoder or decoder. The decoder counts its blocks from the other end.
constexpr Row kVaeOriginal[] = {
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

constexpr Row kClipLFile[] = {{"text_model.{t}", {"text_model.{t}"}}};  // its projection is the identity

constexpr Row kT5[] = {
    {"shared.weight", {"shared.weight"}},
    {"shared.weight", {"encoder.embed_tokens.weight"}},
    {"encoder.{t}", {"encoder.{t}"}},
};

constexpr std::string_view kClipSignature = "text_model.embeddings.token_embedding.weight";
constexpr std::string_view kClipBlocks = "text_model.encoder.layers.{i}.{t}";

constexpr Layout kLayouts[] = {
    {"diffusers", Component::transformer, kAnywhere, kBare, "pos_embed.pos_embed", "transformer_blocks.{i}.{t}",
     kTransformerDiffusers, kIgnoredTransformer},
    {"original", Component::transformer, kAnywhere, kTransformerPrefixes, "joint_blocks.0.x_block.attn.qkv.weight",
     "joint_blocks.{i}.{t}", kTransformerOriginal, kIgnoredTransformer},
    {"diffusers",
     Component::vae,
     kAnywhere,
     kVaePrefixes,
     "decoder.mid_block.resnets.0.conv1.weight",
     "decoder.up_blocks.{i}.{t}",
     kAsOurs,
     {}},
    {"original",
     Component::vae,
     kAnywhere,
     kVaePrefixes,
     "decoder.mid.block_1.conv1.weight",
     "decoder.up.{i}.{t}",
     kVaeOriginal,
     {}},
    {"transformers", Component::clip_l, kFolder, kBare, kClipSignature, kClipBlocks, kAsOurs, kIgnoredClip},
    {"single file", Component::clip_l, kFile, kClipLPrefixes, kClipSignature, kClipBlocks, kClipLFile, kIgnoredClipLFile},
    {"transformers", Component::clip_g, kAnywhere, kClipGPrefixes, kClipSignature, kClipBlocks, kAsOurs, kIgnoredClip},
    {"transformers", Component::t5, kAnywhere, kT5Prefixes, "encoder.final_layer_norm.weight", "encoder.block.{i}.{t}", kT5,
     kIgnoredT5},
};

bool matches_any(std::span<const std::string_view> patterns, std::string_view name) {
  return std::any_of(patterns.begin(), patterns.end(), [&](std::string_view pattern) {
    Bindings bound;
    return match(pattern, name, bound);
  });
}

}  // namespace

std::string_view name_of(Component component) {
  switch (component) {
    case Component::clip_l: return "clip_l";
    case Component::clip_g: return "clip_g";
    case Component::t5: return "t5";
    case Component::transformer: return "transformer";
    case Component::vae: return "vae";
  }
  return "?";
}

std::span<const Layout> layouts() { return kLayouts; }

std::vector<Recipe> recipes(const Layout& layout, std::string_view canonical, int64_t blocks) {
  std::vector<Recipe> found;
  for (const Row& row : layout.rows) {
    Bindings bound;
    bound.last = blocks - 1;
    if (!match(row.canonical, canonical, bound)) continue;
    Recipe recipe{row.op, {}};
    for (const std::string_view stored_name : row.stored)
      if (!stored_name.empty()) recipe.names.push_back(fill(stored_name, bound));
    found.push_back(std::move(recipe));
  }
  return found;
}

bool is_ignored(const Layout& layout, std::string_view stored_name) { return matches_any(layout.ignored, stored_name); }
bool is_ignored_outside(std::string_view stored) { return matches_any(kIgnoredOutside, stored); }

int64_t count_blocks(std::string_view pattern, const std::vector<std::string_view>& names) {
  int64_t count = 0;
  for (const std::string_view name : names) {
    Bindings bound;
    if (match(pattern, name, bound)) count = std::max(count, bound.i + 1);
  }
  return count;
}

}  // namespace fude
