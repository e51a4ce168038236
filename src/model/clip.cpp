// The forward pass of the CLIP text encoder.
#include "model/clip.h"

#include <algorithm>
#include <cmath>

namespace fude {

namespace {

// Token plus position embeddings. [b, tokens, c] f32: the residual stream
Tensor embed(Ops& op, const Clip& clip, const std::vector<std::vector<int32_t>>& ids) {
  const auto b = static_cast<int64_t>(ids.size());
  const auto n = static_cast<int64_t>(ids[0].size());
  const auto c = clip.geometry.hidden;
  std::vector<float> rows;
  if (!op.measuring()) {
    std::vector<float> position(static_cast<size_t>(n * c));
    read_rows(clip.tables.positions, 0, n, DType::f32, position.data());
    rows = look_up(clip.tables.tokens, ids);
    for (size_t i = 0; i < rows.size(); ++i) rows[i] += position[i % position.size()];
  }
  return op.upload(rows.data(), DType::f32, {b, n, c});
}

void clip_block(Ops& op, const ClipBlock& w, const ClipGeometry& g, Tensor x) {
  auto scratch = op.scope();
  const int64_t c = g.hidden;
  const float scale = 1.0f / std::sqrt(static_cast<float>(c / g.heads));

  Tensor qkv = op.linear(op.layer_norm(x, w.norm1, g.eps), w.qkv);  // [b, tokens, 3c]
  Tensor attn = op.attention(qkv.columns(0, c), qkv.columns(c, 2 * c), qkv.columns(2 * c, 3 * c),
                             {.heads = g.heads, .scale = scale, .causal = true, .bias = {}});
  op.linear_into(x, attn, w.out, {.accumulate = true});
  op.linear_into(x, op.linear(op.layer_norm(x, w.norm2, g.eps), w.fc1, {.activation = g.activation}), w.fc2,
                 {.accumulate = true});
}

}  // namespace

Clip::Clip(Device& device, WeightFormat format, const WeightSource& from)
    : source(from),
      geometry(from.geometry<ClipGeometry>()),
      blocks(device, format, from, geometry.layers,
             [g = geometry](Loader& file, int64_t i) { return load_clip_block(file, g, i); }),
      ends(device, format, from, [g = geometry](Loader& file) { return load_clip_ends(file, g); }),
      tables(tables_of(source, geometry)) {}

void Clip::use(const WeightSource& other) {
  source = other;
  for_each_part(*this, [&](std::string_view, auto& part) { part.use(other); });
  tables = tables_of(other, geometry);
}

ClipOutput clip_forward(Ops& op, const Clip& clip, ClipLayers& layers, const std::vector<std::vector<int32_t>>& ids,
                        const std::vector<int64_t>& skip) {
  const ClipGeometry& g = clip.geometry;
  const auto b = static_cast<int64_t>(ids.size());
  const auto n = static_cast<int64_t>(ids[0].size());
  ClipOutput out{.hidden = op.empty({b, n, g.hidden}), .pooled = op.empty({b, g.projection})};

  auto scratch = op.scope();
  Tensor x = embed(op, clip, ids);
  for (int64_t i = 0; i < g.layers; ++i) {
    for (int64_t prompt = 0; prompt < b; ++prompt)
      if (i == g.layers - 1 - (skip.empty() ? 0 : skip[static_cast<size_t>(prompt)]))
        op.copy(out.hidden.batch(prompt, prompt + 1), x.batch(prompt, prompt + 1));
    clip_block(op, layers.blocks.next(), g, x);
  }

  Tensor last = op.empty({b, g.hidden});  // each prompt's end-of-text row, normalised
  for (int64_t i = 0; i < b; ++i) {
    const auto& row = ids[static_cast<size_t>(i)];
    const int64_t end = std::max_element(row.begin(), row.end()) - row.begin();
    op.copy(last.rows(i, i + 1), op.layer_norm(x[i].rows(end, end + 1), layers.ends->final_norm, g.eps));
  }
  if (layers.ends->projection.weight) op.linear_into(out.pooled, last, layers.ends->projection);
  else op.copy(out.pooled, last);
  return out;
}

}  // namespace fude
