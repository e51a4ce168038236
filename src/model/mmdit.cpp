// The forward pass of MMDiT-X.
#include "model/mmdit.h"

#include <cmath>
#include <string>

#include "fude/error.h"

namespace fude {

namespace {

constexpr float kEps = 1e-6f;  // of every norm in the model

// The rows of one block's modulation at one step, [b, D] each, in the order of the checkpoint.
struct StreamModulation {
  Tensor shift_attn, scale_attn, gate_attn;
  Tensor shift_mlp, scale_mlp, gate_mlp;
  Tensor shift_attn2, scale_attn2, gate_attn2;  // dual blocks
};

struct JointModulation {
  StreamModulation x, ctx;
};

StreamModulation split(const Tensor& rows, int64_t d) {  // [b, k·D]
  const auto chunk = [&](int64_t i) { return (i + 1) * d <= rows.dim(1) ? rows.columns(i * d, (i + 1) * d) : Tensor{}; };
  return {chunk(0), chunk(1), chunk(2), chunk(3), chunk(4), chunk(5), chunk(6), chunk(7), chunk(8)};
}

// Queries, keys and values of normalised rows [b, rows, D], RMS-normalised per head, into `qkv`, a row range of the joint
// tensor.
LinearCall project_qkv(const Attention& w, const Tensor& rows, const Tensor& qkv) {
  return {.out = qkv, .x = rows, .w = w.qkv, .options = {.norms = {w.norm_q, w.norm_k, kEps}}, .gate = {}};
}

// x += gate·projection(y)
LinearCall add_gated(const Tensor& x, const Tensor& gate, const Tensor& y, const Linear& projection) {
  return {.out = x, .x = y, .w = projection, .options = {}, .gate = gate};
}

// Softmax attention of the first rows of [b, rows, 3D], as many as `out` [b, queries, D] has, over all of them.
void attend(Ops& op, const Tensor& out, const Tensor& qkv, int64_t heads) {
  const int64_t d = qkv.dim(2) / 3;
  const float scale = 1.0f / std::sqrt(static_cast<float>(d / heads));
  op.attention_into(out, qkv.columns(0, d).rows(0, out.dim(1)), qkv.columns(d, 2 * d), qkv.columns(2 * d, 3 * d),
                    {.heads = heads, .scale = scale, .causal = false, .bias = {}});
}

// One MMDiT block (SD3 paper, fig. 2b). Adds to both residual streams in place; equal operations of both run in one call.
void joint_block(Ops& op, const JointBlock& w, const JointModulation& m, int64_t heads, const Tensor& ctx, const Tensor& x) {
  auto scratch = op.scope();  // temporaries die at }
  const int64_t b = x.dim(0);
  const int64_t nc = ctx.dim(1);
  const int64_t nx = x.dim(1);
  const int64_t d = x.dim(2);
  const bool dual = w.x.attn2.has_value();  // MMDiT-X: the image also attends to itself

  Tensor attn = op.empty({b, w.last ? nx : nx + nc, d});  // image rows, then text rows
  Tensor attn2 = dual ? op.empty({b, nx, d}) : Tensor{};
  {
    auto projections = op.scope();
    Tensor qkv = op.empty({b, nx + nc, 3 * d});
    Tensor qkv2 = dual ? op.empty({b, nx, 3 * d}) : Tensor{};
    std::vector<LinearCall> project = {
        project_qkv(w.x.attn, op.norm_modulate(x, m.x.shift_attn, m.x.scale_attn, kEps), qkv.rows(0, nx)),
        project_qkv(w.ctx.attn, op.norm_modulate(ctx, m.ctx.shift_attn, m.ctx.scale_attn, kEps), qkv.rows(nx, nx + nc))};
    if (dual) project.push_back(project_qkv(*w.x.attn2, op.norm_modulate(x, m.x.shift_attn2, m.x.scale_attn2, kEps), qkv2));
    op.linears(project);
    op.parallel([&] { attend(op, attn, qkv, heads); },
                [&] {
                  if (dual) attend(op, attn2, qkv2, heads);
                });
  }

  std::vector<LinearCall> out = {add_gated(x, m.x.gate_attn, attn.rows(0, nx), w.x.attn.proj)};
  if (!w.last) out.push_back(add_gated(ctx, m.ctx.gate_attn, attn.rows(nx, nx + nc), w.ctx.attn.proj));
  op.linears(out);
  if (dual) op.linears({add_gated(x, m.x.gate_attn2, attn2, w.x.attn2->proj)});

  const LinearOptions gelu = {.activation = Activation::gelu_tanh};
  Tensor h = op.empty({b, nx, w.x.fc1.weight.shape.out});
  Tensor h_ctx;
  std::vector<LinearCall> fc1 = {{h, op.norm_modulate(x, m.x.shift_mlp, m.x.scale_mlp, kEps), w.x.fc1, gelu, {}}};
  std::vector<LinearCall> fc2 = {add_gated(x, m.x.gate_mlp, h, w.x.fc2)};
  if (!w.last) {
    h_ctx = op.empty({b, nc, w.ctx.fc1.weight.shape.out});
    fc1.push_back({h_ctx, op.norm_modulate(ctx, m.ctx.shift_mlp, m.ctx.scale_mlp, kEps), w.ctx.fc1, gelu, {}});
    fc2.push_back(add_gated(ctx, m.ctx.gate_mlp, h_ctx, w.ctx.fc2));
  }
  op.linears(fc1);
  op.linears(fc2);
}

}  // namespace

Mmdit::Mmdit(Device& device, WeightFormat format, const WeightSource& from)
    : source(from),
      geometry(from.geometry<MmditGeometry>()),
      embedders(device, format, from, [g = geometry](Loader& file) { return load_embedders(file, g); }),
      modulation(device, format, from, geometry.layers,
                 [g = geometry](Loader& file, int64_t i) { return load_modulation(file, g, i); }),
      blocks(device, format, from, geometry.layers,
             [g = geometry](Loader& file, int64_t i) { return load_joint_block(file, g, i); }),
      final_layer(device, format, from, [g = geometry](Loader& file) { return load_final_layer(file, g); }),
      tables(tables_of(source, geometry)) {}

void Mmdit::use(const WeightSource& other) {
  source = other;
  for_each_part(*this, [&](std::string_view, auto& part) { part.use(other); });
  tables = tables_of(other, geometry);
}

void Mmdit::keep(int64_t resident, const HostShare& host) {
  embedders.keep(1);
  final_layer.keep(1);
  blocks.keep(resident, host);
}

void Mmdit::place(Arena& memory) {
  embedders.place(memory);
  final_layer.place(memory);
  blocks.place(memory);
}

Conditioning condition(Ops& op, const Mmdit& mmdit, const Embedders& w, const Tensor& embeddings, int64_t height,
                       int64_t width) {
  const MmditGeometry& g = mmdit.geometry;
  const int64_t rows = height / g.patch, columns = width / g.patch, table = g.pos_embed_max;
  if (rows > table || columns > table)
    throw Error(Code::bad_request, "the model's position table ends at " + std::to_string(table * g.patch * 8) +
                                       " pixels a side; ask for a smaller picture");
  const int64_t top = (table - rows) / 2, left = (table - columns) / 2;  // the window is in the middle of the table
  std::vector<float> window(static_cast<size_t>(rows * columns * g.width));
  for (int64_t r = 0; r < rows && !op.measuring(); ++r) {
    const int64_t first = (top + r) * table + left;
    read_rows(mmdit.tables.pos_embed, first, first + columns, DType::f32, window.data() + r * columns * g.width);
  }
  return {.context = op.linear(embeddings, w.context), .pos = op.upload(window.data(), DType::f32, {rows * columns, g.width})};
}

Tensor embed_timesteps(Ops& op, const Embedders& w, const std::vector<float>& timesteps, const Tensor& pooled) {
  const auto steps = static_cast<int64_t>(timesteps.size());
  const auto b = pooled.dim(0);
  const auto d = w.time2.weight.shape.out;
  const int64_t half = w.time1.weight.shape.in / 2;
  std::vector<float> waves(static_cast<size_t>(steps * 2 * half));  // cosines, then sines
  for (int64_t s = 0; s < steps; ++s)
    for (int64_t k = 0; k < half; ++k) {
      const float frequency =
          std::exp(static_cast<float>(-std::log(10000.0)) * static_cast<float>(k) / static_cast<float>(half));
      const double angle =
          timesteps[static_cast<size_t>(s)] * frequency;  // a float's; in f32 C libraries differ in the last bit
      waves[static_cast<size_t>(s * 2 * half + k)] = static_cast<float>(std::cos(angle));
      waves[static_cast<size_t>(s * 2 * half + half + k)] = static_cast<float>(std::sin(angle));
    }
  Tensor temb = op.empty({steps, b, d}, DType::f32);

  auto scratch = op.scope();
  Tensor e = op.empty({steps, 2 * half});
  op.copy(e, op.upload(waves.data(), DType::f32, {steps, 2 * half}));
  Tensor time = op.empty({steps, d}, DType::f32);
  Tensor text = op.empty({b, d}, DType::f32);
  op.linear_into(time, op.linear(e, w.time1, {.activation = Activation::silu}), w.time2);
  op.linear_into(text, op.linear(pooled, w.pooled1, {.activation = Activation::silu}), w.pooled2);
  for (int64_t s = 0; s < steps; ++s)
    for (int64_t i = 0; i < b; ++i) op.copy(temb[s].rows(i, i + 1), time.rows(s, s + 1));
  op.add(temb, text);
  return temb;
}

int64_t modulation_columns(const MmditGeometry& g) {
  int64_t columns = 2 * g.width;  // of the final layer
  for (int64_t i = 0; i < g.layers; ++i) columns += image_columns(g, i) + text_columns(g, i);
  return columns;
}

Tensor modulate(Ops& op, const MmditGeometry& g, const Embedders& w, LayerStream<ModulationWeights>& layers,
                const Tensor& temb) {
  const int64_t rows = temb.dim(0) * temb.dim(1);
  Tensor out = op.empty({rows, modulation_columns(g)}, DType::f32);

  auto scratch = op.scope();
  Tensor silu = op.activate(temb.view({rows, g.width}), Activation::silu);
  int64_t column = 0;
  const auto append = [&](const Linear& linear) {
    op.linear_into(out.columns(column, column + linear.weight.shape.out), silu, linear);
    column += linear.weight.shape.out;
  };
  for (int64_t i = 0; i < g.layers; ++i) {
    const ModulationWeights& block = layers.next();
    append(block.x);
    append(block.ctx);
  }
  append(w.final_modulation);
  return out;
}

Tensor mmdit_forward(Ops& op, const MmditGeometry& g, MmditLayers& layers, const Tensor& modulation,
                     const Conditioning& conditioning, const Tensor& latents, const SkippedRows& skipped,
                     const MmditProbe& probe) {
  const int64_t b = latents.dim(0);
  const int64_t height = latents.dim(2);
  const int64_t width = latents.dim(3);
  Tensor velocity = op.empty({b, g.out_channels, height, width}, DType::f32);

  auto scratch = op.scope();
  Tensor x = op.linear(op.patchify(latents, g.patch), layers.embedders->patch);  // [b, image tokens, D]
  op.add(x, conditioning.pos);
  Tensor ctx = op.empty({b, conditioning.context.dim(1), g.width});  // [b, text tokens, D]
  op.copy(ctx, conditioning.context);
  if (probe) probe("x_embed", x);

  int64_t column = 0;
  const auto take = [&](int64_t columns) {
    column += columns;
    return modulation.columns(column - columns, column);
  };
  for (int64_t i = 0; i < g.layers; ++i) {
    const bool skips = std::find(skipped.layers.begin(), skipped.layers.end(), i) != skipped.layers.end();
    const int64_t rows = skips ? skipped.rows : b;
    const JointModulation m{.x = split(take(image_columns(g, i)).rows(0, rows), g.width),
                            .ctx = split(take(text_columns(g, i)).rows(0, rows), g.width)};
    joint_block(op, layers.blocks.next(), m, g.heads, ctx.batch(0, rows), x.batch(0, rows));
    if (probe) probe("block." + std::to_string(i) + ".x", x);
    if (probe && i + 1 < g.layers) probe("block." + std::to_string(i) + ".context", ctx);
  }

  const Tensor shift = take(g.width);
  const Tensor scale = take(g.width);
  Tensor y = op.norm_modulate(x, shift, scale, kEps);
  op.copy(velocity, op.unpatchify(op.linear(y, layers.final_layer->proj), g.patch, g.out_channels, height, width));
  return velocity;
}

}  // namespace fude
