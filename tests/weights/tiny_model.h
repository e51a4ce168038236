// A model of a few kilobytes in the layouts that have no fixture: single files and separate component files.
#pragma once

#include <string>
#include <utility>

#include "made_files.h"
#include "weights/checkpoint.h"

namespace fude {

inline std::filesystem::path fixture(const std::string& name) {
  return std::filesystem::path(FUDE_SOURCE_DIR) / "tests" / "fixtures" / name;
}

// A copy of a fixture (without its goldens) that a test may damage.
inline void copy_fixture(const std::string& name, const std::filesystem::path& to) {
  std::filesystem::copy(fixture(name), to, std::filesystem::copy_options::recursive);
  std::filesystem::remove(to / "goldens.safetensors");
}

inline ClipGeometry tiny_clip(int64_t hidden) {
  ClipGeometry g;
  g.hidden = g.projection = hidden, g.intermediate = 96, g.layers = 2, g.heads = hidden / 64, g.vocab = 10, g.positions = 7;
  return g;
}

inline T5Geometry tiny_t5() {
  T5Geometry g;
  g.d_model = 192, g.d_ff = 8, g.d_kv = 4, g.heads = 2, g.layers = 2, g.vocab = 11, g.buckets = 8;
  return g;
}

inline MmditGeometry tiny_mmdit() {
  MmditGeometry g;
  g.width = 64, g.heads = 1, g.head_dim = 64, g.layers = 2, g.patch = 2, g.channels = g.out_channels = 4;
  g.context_width = g.pooled_width = 192, g.pos_embed_max = 70, g.dual = {true, false}, g.qk_norm = true;
  return g;
}

inline VaeGeometry tiny_vae() {
  VaeGeometry g;
  g.block_out_channels = {32, 64}, g.layers_per_block = 1, g.groups = 32, g.channels = 3, g.latent_channels = 4,
  g.mid_attention = true;
  return g;
}

// The VAE's published name in single files, worked out apart from the layout's table.
inline std::string original_vae_name(std::string name) {
  const auto replace = [&](const std::string& from, const std::string& to) {
    if (const size_t at = name.find(from); at != std::string::npos) name.replace(at, from.size(), to);
  };
  replace("up_blocks.0", "up.1!"), replace("up_blocks.1", "up.0!"), replace("!", "");
  replace("down_blocks", "down"), replace("conv_shortcut", "nin_shortcut"), replace("conv_norm_out", "norm_out");
  replace("mid_block.resnets.0", "mid.block_1"), replace("mid_block.resnets.1", "mid.block_2"), replace("resnets", "block");
  replace("mid_block.attentions.0", "mid.attn_1"), replace("group_norm", "norm"), replace("to_out.0", "proj_out");
  replace("to_q", "q"), replace("to_k", "k"), replace("to_v", "v");
  replace("downsamplers.0", "downsample"), replace("upsamplers.0", "upsample");
  return name;
}

inline void add_transformer(Tensors& t, const std::string& prefix, DType dtype = DType::f16) {
  for (ExpectedTensor e : expected_tensors(tiny_mmdit())) {
    if (e.name == "pos_embed") e.shape.insert(e.shape.begin(), 1);
    t.add(prefix + e.name, dtype, e.shape);
  }
}

inline void add_vae(Tensors& t, const std::string& prefix) {
  for (ExpectedTensor e : expected_tensors(tiny_vae())) {
    const bool is_projection = e.name.find("attentions.0.to_") != std::string::npos && e.shape.size() == 2;
    if (is_projection) e.shape.insert(e.shape.end(), {1, 1});
    t.add(prefix + original_vae_name(e.name), DType::bf16, e.shape);
  }
}

// As ComfyUI publishes it: T5's linears in scaled fp8, the embedding twice, markers and leftovers.
inline void add_encoders(Tensors& t) {
  t.add_all(expected_tensors(tiny_clip(64)), "text_encoders.clip_l.transformer.", DType::f16);
  t.add_all(expected_tensors(tiny_clip(128)), "text_encoders.clip_g.transformer.", DType::f16);
  const std::string p = "text_encoders.t5xxl.transformer.";
  for (const ExpectedTensor& e : expected_tensors(tiny_t5())) {
    const bool is_linear =
        e.shape.size() == 2 && e.name.starts_with("encoder.block") && e.name.find("bias") == std::string::npos;
    if (!is_linear) {
      t.add(p + e.name, DType::f16, e.shape);
      continue;
    }
    t.add_bytes(p + e.name, "F8_E4M3", e.shape, std::string(static_cast<size_t>(e.shape[0] * e.shape[1]), '\x40'));  // 2
    t.add(p + e.name.substr(0, e.name.size() - 7) + ".scale_weight", DType::f32, {}, {0.5f});
  }
  t.add(p + "encoder.embed_tokens.weight", DType::f16, {11, 192});
  t.add_bytes(p + "scaled_fp8", "F8_E4M3", {0}, "");
  t.add("text_encoders.clip_l.logit_scale", DType::f32, {}, {4.6f});
}

inline CheckpointFiles only(const std::filesystem::path& model) {
  CheckpointFiles files;
  files.model = model;
  return files;
}

}  // namespace fude
