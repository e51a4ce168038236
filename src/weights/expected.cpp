// The lists of expected tensors, one function for each component.
#include "weights/expected.h"

namespace fude {

namespace {

class List {
 public:
  void add(const std::string& name, std::vector<int64_t> shape) { tensors.push_back({name, std::move(shape)}); }
  void linear(const std::string& name, int64_t out, int64_t in) {
    add(name + ".weight", {out, in});
    add(name + ".bias", {out});
  }
  void conv(const std::string& name, int64_t out, int64_t in, int64_t kernel) {
    add(name + ".weight", {out, in, kernel, kernel});
    add(name + ".bias", {out});
  }
  void norm(const std::string& name, int64_t channels) {
    add(name + ".weight", {channels});
    add(name + ".bias", {channels});
  }

  std::vector<ExpectedTensor> tensors;
};

// 256 sines and cosines of the timestep, in every SD3.
constexpr int64_t kTimeChannels = 256;

void add_attention(List& list, const std::string& name, const MmditGeometry& g, bool projected) {
  list.linear(name + ".qkv", 3 * g.width, g.width);
  if (g.qk_norm) {
    list.add(name + ".ln_q.weight", {g.head_dim});
    list.add(name + ".ln_k.weight", {g.head_dim});
  }
  if (projected) list.linear(name + ".proj", g.width, g.width);
}

void add_mlp(List& list, const std::string& name, int64_t width) {
  list.linear(name + ".fc1", 4 * width, width);
  list.linear(name + ".fc2", width, 4 * width);
}

void add_resnet(List& list, const std::string& name, int64_t in, int64_t out) {
  list.norm(name + ".norm1", in);
  list.conv(name + ".conv1", out, in, 3);
  list.norm(name + ".norm2", out);
  list.conv(name + ".conv2", out, out, 3);
  if (in != out) list.conv(name + ".conv_shortcut", out, in, 1);
}

void add_mid_block(List& list, const std::string& name, int64_t channels, bool attention) {
  for (const char* i : {"0", "1"}) add_resnet(list, name + ".resnets." + i, channels, channels);
  if (!attention) return;
  list.norm(name + ".attentions.0.group_norm", channels);
  for (const char* part : {"to_q", "to_k", "to_v", "to_out.0"}) list.linear(name + ".attentions.0." + part, channels, channels);
}

}  // namespace

std::vector<ExpectedTensor> expected_tensors(const ClipGeometry& g) {
  List list;
  list.add("text_model.embeddings.token_embedding.weight", {g.vocab, g.hidden});
  list.add("text_model.embeddings.position_embedding.weight", {g.positions, g.hidden});
  for (int64_t i = 0; i < g.layers; ++i) {
    const std::string layer = "text_model.encoder.layers." + std::to_string(i);
    for (const char* part : {".q_proj", ".k_proj", ".v_proj", ".out_proj"})
      list.linear(layer + ".self_attn" + part, g.hidden, g.hidden);
    list.norm(layer + ".layer_norm1", g.hidden);
    list.norm(layer + ".layer_norm2", g.hidden);
    list.linear(layer + ".mlp.fc1", g.intermediate, g.hidden);
    list.linear(layer + ".mlp.fc2", g.hidden, g.intermediate);
  }
  list.norm("text_model.final_layer_norm", g.hidden);
  list.add("text_projection.weight", {g.projection, g.hidden});
  return list.tensors;
}

std::vector<ExpectedTensor> expected_tensors(const T5Geometry& g) {
  const int64_t inner = g.heads * g.d_kv;
  List list;
  list.add("shared.weight", {g.vocab, g.d_model});
  for (int64_t i = 0; i < g.layers; ++i) {
    const std::string attention = "encoder.block." + std::to_string(i) + ".layer.0.";
    const std::string feed_forward = "encoder.block." + std::to_string(i) + ".layer.1.";
    for (const char* part : {"q", "k", "v"}) list.add(attention + "SelfAttention." + part + ".weight", {inner, g.d_model});
    list.add(attention + "SelfAttention.o.weight", {g.d_model, inner});
    if (i == 0) list.add(attention + "SelfAttention.relative_attention_bias.weight", {g.buckets, g.heads});
    list.add(attention + "layer_norm.weight", {g.d_model});
    for (const char* part : {"wi_0", "wi_1"})
      list.add(feed_forward + "DenseReluDense." + part + ".weight", {g.d_ff, g.d_model});
    list.add(feed_forward + "DenseReluDense.wo.weight", {g.d_model, g.d_ff});
    list.add(feed_forward + "layer_norm.weight", {g.d_model});
  }
  list.add("encoder.final_layer_norm.weight", {g.d_model});
  return list.tensors;
}

std::vector<ExpectedTensor> expected_tensors(const MmditGeometry& g) {
  const int64_t d = g.width;
  List list;
  list.add("pos_embed", {g.pos_embed_max * g.pos_embed_max, d});
  list.conv("x_embedder.proj", d, g.channels, g.patch);
  list.linear("t_embedder.mlp.0", d, kTimeChannels);
  list.linear("t_embedder.mlp.2", d, d);
  list.linear("y_embedder.mlp.0", d, g.pooled_width);
  list.linear("y_embedder.mlp.2", d, d);
  list.linear("context_embedder", d, g.context_width);
  for (int64_t i = 0; i < g.layers; ++i) {
    const std::string block = "joint_blocks." + std::to_string(i);
    const bool dual = g.dual[static_cast<size_t>(i)], last = i == g.layers - 1;
    list.linear(block + ".x_block.adaLN_modulation.1", (dual ? 9 : 6) * d, d);
    add_attention(list, block + ".x_block.attn", g, true);
    if (dual) add_attention(list, block + ".x_block.attn2", g, true);
    add_mlp(list, block + ".x_block.mlp", d);
    list.linear(block + ".context_block.adaLN_modulation.1", (last ? 2 : 6) * d, d);
    add_attention(list, block + ".context_block.attn", g, !last);
    if (!last) add_mlp(list, block + ".context_block.mlp", d);
  }
  list.linear("final_layer.adaLN_modulation.1", 2 * d, d);
  list.linear("final_layer.linear", g.patch * g.patch * g.out_channels, d);
  return list.tensors;
}

std::vector<ExpectedTensor> expected_tensors(const VaeGeometry& g) {
  const size_t blocks = g.block_out_channels.size();
  const int64_t outer = g.block_out_channels.front();
  const int64_t inner = g.block_out_channels.back();
  List list;
  list.conv("encoder.conv_in", outer, g.channels, 3);
  int64_t channels = outer;
  for (size_t i = 0; i < blocks; ++i) {
    const std::string block = "encoder.down_blocks." + std::to_string(i);
    for (int64_t j = 0; j < g.layers_per_block; ++j) {
      add_resnet(list, block + ".resnets." + std::to_string(j), channels, g.block_out_channels[i]);
      channels = g.block_out_channels[i];
    }
    if (i + 1 < blocks) list.conv(block + ".downsamplers.0.conv", channels, channels, 3);
  }
  add_mid_block(list, "encoder.mid_block", inner, g.mid_attention);
  list.norm("encoder.conv_norm_out", inner);
  list.conv("encoder.conv_out", 2 * g.latent_channels, inner, 3);

  list.conv("decoder.conv_in", inner, g.latent_channels, 3);
  add_mid_block(list, "decoder.mid_block", inner, g.mid_attention);
  channels = inner;
  for (size_t i = 0; i < blocks; ++i) {
    const std::string block = "decoder.up_blocks." + std::to_string(i);
    for (int64_t j = 0; j <= g.layers_per_block; ++j) {
      const int64_t out = g.block_out_channels[blocks - 1 - i];
      add_resnet(list, block + ".resnets." + std::to_string(j), channels, out);
      channels = out;
    }
    if (i + 1 < blocks) list.conv(block + ".upsamplers.0.conv", channels, channels, 3);
  }
  list.norm("decoder.conv_norm_out", outer);
  list.conv("decoder.conv_out", g.channels, outer, 3);
  return list.tensors;
}

}  // namespace fude
