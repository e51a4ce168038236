// T5 on disk and in memory.
#include "weights/components/t5.h"

#include <string>

#include "weights/geometry.h"
#include "weights/quote.h"

namespace fude {

namespace {

constexpr std::string_view kIgnored[] = {kScaledMarker, "logit_scale", "encoder.embed_tokens.weight", "spiece_model"};
constexpr std::string_view kPrefixes[] = {"text_encoders.t5xxl.transformer.", ""};

constexpr Row kRows[] = {
    {"shared.weight", {"shared.weight"}},
    {"shared.weight", {"encoder.embed_tokens.weight"}},
    {"encoder.{t}", {"encoder.{t}"}},
};

constexpr Layout kLayouts[] = {
    {"transformers", kAnywhere, kPrefixes, "encoder.final_layer_norm.weight", "encoder.block.{i}.{t}", kRows, kIgnored}};

}  // namespace

const std::span<const Layout> kT5Layouts = kLayouts;

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

T5Layer load_t5_layer(Loader& file, const T5Geometry& g, int64_t i) {
  Loader layer = file.at("encoder.block." + std::to_string(i / 2) + ".layer." + std::to_string(i % 2) + ".");
  const int64_t inner = g.heads * g.d_kv;
  T5Layer loaded{.norm = layer.norm("layer_norm", g.d_model, Bias::none), .attention = {}, .mlp = {}};
  if (i % 2 == 0)
    loaded.attention = {
        .qkv = layer.linear({"SelfAttention.q", "SelfAttention.k", "SelfAttention.v"}, inner, g.d_model, Bias::none),
        .out = layer.linear("SelfAttention.o", g.d_model, inner, Bias::none)};
  else
    loaded.mlp = {.wi = layer.linear({"DenseReluDense.wi_0", "DenseReluDense.wi_1"}, g.d_ff, g.d_model, Bias::none),
                  .wo = layer.linear("DenseReluDense.wo", g.d_model, g.d_ff, Bias::none)};
  return loaded;
}

Norm load_t5_norm(Loader& file, const T5Geometry& g) { return file.norm("encoder.final_layer_norm", g.d_model, Bias::none); }

T5Tables load_tables(Loader& file, const T5Geometry& g) {
  return {.tokens = file.table("shared.weight", {g.vocab, g.d_model}),
          .relative_attention_bias =
              file.table("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", {g.buckets, g.heads})};
}

void load_all(Loader& file, const T5Geometry& g) {
  load_tables(file, g);
  for (int64_t i = 0; i < 2 * g.layers; ++i) load_t5_layer(file, g, i);
  load_t5_norm(file, g);
}

}  // namespace fude
