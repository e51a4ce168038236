// The forward pass of the T5 encoder.
#include "model/t5.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace fude {

namespace {

// f32 [heads, tokens, tokens], added to the scores of every block. It depends only on the distance of key and query: the rows
// of a head are views of one line, and each row starts one element before the row above it (stride −1).
Tensor position_bias(Ops& op, const T5& t5, int64_t tokens) {
  const T5Geometry& g = t5.geometry;
  const int64_t length = 2 * tokens - 1;
  std::vector<float> table(static_cast<size_t>(g.buckets * g.heads)), lines;
  if (!op.measuring()) read_rows(t5.tables.relative_attention_bias, 0, g.buckets, DType::f32, table.data());
  for (int64_t h = 0; h < g.heads; ++h)
    for (int64_t i = 0; i < length; ++i)
      lines.push_back(
          table[static_cast<size_t>(relative_position_bucket(i - (tokens - 1), g.buckets, g.max_distance) * g.heads + h)]);
  Tensor bias = op.upload(lines.data(), DType::f32, {g.heads, 1, length}).columns(tokens - 1, length);
  bias.shape[1] = tokens;
  bias.stride[1] = -1;
  return bias;
}

// f32 [b, tokens, d]: the residual stream stays in f32, since with trained weights it leaves f16's range.
Tensor embed(Ops& op, const T5& t5, const std::vector<std::vector<int32_t>>& ids) {
  const auto b = static_cast<int64_t>(ids.size());
  const auto n = static_cast<int64_t>(ids[0].size());
  const auto d = t5.geometry.d_model;
  const std::vector<float> rows = op.measuring() ? std::vector<float>() : look_up(t5.tables.tokens, ids);
  return op.upload(rows.data(), DType::f32, {b, n, d});
}

void attend(Ops& op, const T5Attention& w, const Tensor& normalised, const T5Geometry& g, const Tensor& bias, const Tensor& x) {
  const int64_t inner = g.heads * g.d_kv;
  Tensor qkv = op.linear(normalised, w.qkv);  // [b, tokens, 3·inner]
  Tensor attn = op.attention(qkv.columns(0, inner), qkv.columns(inner, 2 * inner), qkv.columns(2 * inner, 3 * inner),
                             {.heads = g.heads, .scale = 1.0f, .causal = false, .bias = bias});
  op.linear_into(x, attn, w.out, {.accumulate = true});
}

void gated_mlp(Ops& op, const T5Mlp& w, const Tensor& normalised, const T5Geometry& g, const Tensor& x) {
  Tensor h = op.linear(normalised, w.wi);  // [b, tokens, 2·d_ff]
  Tensor gated = op.activate(h.columns(0, g.d_ff), Activation::gelu_tanh);
  op.multiply(gated, h.columns(g.d_ff, 2 * g.d_ff));
  op.linear_into(x, gated, w.wo, {.accumulate = true});
}

void t5_layer(Ops& op, const T5Layer& w, const T5Geometry& g, const Tensor& bias, const Tensor& x) {
  auto scratch = op.scope();
  const Tensor normalised = op.rms_norm(x, w.norm.weight, g.eps);
  if (w.attention) attend(op, *w.attention, normalised, g, bias, x);
  else gated_mlp(op, *w.mlp, normalised, g, x);
}

}  // namespace

int64_t relative_position_bucket(int64_t distance, int64_t buckets, int64_t max_distance) {
  const int64_t half = buckets / 2;
  const int64_t exact = half / 2;
  const int64_t a = std::abs(distance);
  int64_t bucket = a;
  if (a >= exact) {
    const float position = std::log(static_cast<float>(a) / static_cast<float>(exact)) /
                           static_cast<float>(std::log(static_cast<double>(max_distance) / static_cast<double>(exact)));
    bucket = std::min(half - 1, exact + static_cast<int64_t>(position * static_cast<float>(half - exact)));
  }
  return distance > 0 ? half + bucket : bucket;
}

T5::T5(Device& device, WeightFormat format, const WeightSource& from)
    : source(from),
      geometry(from.geometry<T5Geometry>()),
      layers(device, format, from, 2 * geometry.layers,
             [g = geometry](Loader& file, int64_t i) { return load_t5_layer(file, g, i); }),
      final_norm(device, format, from, [g = geometry](Loader& file) { return load_t5_norm(file, g); }),
      tables(tables_of(source, geometry)) {}

void T5::use(const WeightSource& other) {
  source = other;
  for_each_part(*this, [&](std::string_view, auto& part) { part.use(other); });
  tables = tables_of(other, geometry);
}

Tensor t5_forward(Ops& op, const T5& t5, T5Layers& layers, const std::vector<std::vector<int32_t>>& ids) {
  const auto b = static_cast<int64_t>(ids.size());
  const auto n = static_cast<int64_t>(ids[0].size());
  Tensor out = op.empty({b, n, t5.geometry.d_model});

  auto scratch = op.scope();
  Tensor bias = position_bias(op, t5, n);
  Tensor x = embed(op, t5, ids);
  for (int64_t i = 0; i < t5.layers.size(); ++i) t5_layer(op, layers.halves.next(), t5.geometry, bias, x);
  op.copy(out, op.rms_norm(x, layers.final_norm->weight, t5.geometry.eps));
  return out;
}

}  // namespace fude
