// What every operation does before its kernel: shapes, memory, work, cancellation.
#include "core/ops.h"

#include <cassert>
#include <string>
#include <utility>

#include "fude/error.h"

namespace fude {

namespace {

// The shape of x with another last dimension.
Tensor empty_like(const Ops& op, const Tensor& x, int64_t columns, DType dtype) {
  switch (x.rank) {
    case 1: return op.empty({columns}, dtype);
    case 2: return op.empty({x.dim(0), columns}, dtype);
    case 3: return op.empty({x.dim(0), x.dim(1), columns}, dtype);
    default: return op.empty({x.dim(0), x.dim(1), x.dim(2), columns}, dtype);
  }
}

}  // namespace

void Ops::poll() const {
  if (options_.stop && options_.stop->load(std::memory_order_relaxed)) throw Error(Code::cancelled, "stopped at your request");
}

void Ops::begin(double flops, double seconds) {
  work_.flops += times_ * flops;
  work_.seconds += times_ * seconds;
  poll();
}

void Ops::begin(std::initializer_list<Tensor> tensors) {
  int64_t bytes = 0;
  if (predicts())
    for (const Tensor& tensor : tensors) bytes += tensor.bytes();
  begin(0, predicts() ? pass_seconds(rates(), bytes) : 0);
}

void Ops::begin_copy(const Tensor& x) {
  begin(0, predicts() && rates().upload > 0 ? static_cast<double>(x.bytes()) / rates().upload : 0);
}

void* Ops::take(int64_t bytes) const {
  void* memory = arena_.allocate(bytes);
#ifdef FUDE_POISON_ARENA
  if (!measuring()) device_.poison(memory, bytes);
#endif
  return memory;
}

Tensor Ops::empty(std::initializer_list<int64_t> shape, DType dtype) const {
  Tensor t = Tensor::of(nullptr, dtype, shape);
  t.data = take(t.bytes());
  return t;
}

Tensor Ops::empty_on_host(std::initializer_list<int64_t> shape, DType dtype) const {
  Tensor t = Tensor::of(nullptr, dtype, shape);
  t.data = host_arena_->allocate(t.bytes());
  return t;
}

void Ops::to_host(const Tensor& host, const Tensor& x) {
  assert(same_shape(host, x) && host.dtype == x.dtype && host.contiguous() && x.contiguous());
  begin_copy(x);
  if (!measuring()) device_.do_to_host(host, x);
}

void Ops::from_host(const Tensor& x, const Tensor& host) {
  assert(same_shape(host, x) && host.dtype == x.dtype && host.contiguous() && x.contiguous());
  begin_copy(x);
  if (!measuring()) device_.do_upload(x, host.data);
}

void Ops::replay(std::unique_ptr<DeviceGraph>& graph, const std::function<void()>& work) {
  if (measuring()) return work();
  poll();
  device_.replay(graph, work);
}

Tensor Ops::upload(const void* host, DType dtype, std::initializer_list<int64_t> shape) {
  Tensor out = empty(shape, dtype);
  if (!measuring()) device_.do_upload(out, host);
  return out;
}

Tensor Ops::noise(TorchGenerator& generator, std::initializer_list<int64_t> shape) {
  Tensor out = empty(shape, DType::f32);
  begin({out});
  if (!measuring()) device_.do_noise(out, generator);
  return out;
}

void Ops::copy(const Tensor& out, const Tensor& x) {
  assert(same_shape(out, x));
  begin({out, x});
  if (!measuring()) device_.do_copy(out, x);
}

Tensor Ops::linear(const Tensor& x, const Linear& w, LinearOptions options) {
  Tensor out = empty_like(*this, x, w.weight.shape.out, dtype());
  linear_into(out, x, w, options);
  return out;
}

void Ops::linear_into(const Tensor& out, const Tensor& x, const Linear& w, LinearOptions options) {
  linears({{out, x, w, options, {}}});
}

void Ops::linears(std::vector<LinearCall> calls) {
  // What the device does not fuse is done here, by its definition.
  struct Rest {
    Tensor x, gate, y;  // x += gate·y
    Tensor out;         // whose heads are normalised
    HeadNorms norms;
  };
  std::vector<Rest> rests;
  Scope s = scope();
  int64_t rows = 0;
  for (const LinearCall& call : calls) rows += call.x.numel() / call.x.dim(-1);
  double flops = 0;
  double seconds = predicts() ? rates().launch : 0;
  for (LinearCall& call : calls) {
    const WeightShape& w = call.w.weight.shape;
    assert(device_.multiplies(call.w.weight.format, call.x.dtype));
    assert(call.x.rank == call.out.rank && call.x.dim(-1) == w.in && call.out.dim(-1) == w.out && w.kernel == 1);
    assert(call.x.numel() / w.in == call.out.numel() / w.out && (call.x.rank <= 3 || call.x.contiguous()));
    flops += 2.0 * static_cast<double>(call.x.numel()) * static_cast<double>(w.out);
    if (predicts()) seconds += gemm_seconds(rates(), call.out, call.x, call.w.weight, rows);
    Rest rest;
    if (call.gate && !device_.capabilities().gated_linears) {
      rest = {.x = call.out,
              .gate = std::exchange(call.gate, {}),
              .y = empty({call.out.dim(0), call.out.dim(1), w.out}),
              .out = {},
              .norms = {}};
      call.out = rest.y;
    }
    if (call.options.norms.query && !device_.norms_heads(call)) {
      rest.out = call.out;
      rest.norms = std::exchange(call.options.norms, {});
    }
    rests.push_back(rest);
    if (!call.gate && call.x.contiguous() && call.out.contiguous()) {
      const int64_t own_rows = call.x.numel() / w.in;
      call.x = call.x.view({own_rows, w.in});
      call.out = call.out.view({own_rows, w.out});
    }
  }
  begin(flops, seconds);
  void* memory = take(device_.workspace(calls));
  if (!measuring()) device_.do_linears(calls, memory);
  for (const Rest& rest : rests) {
    if (rest.gate) add_gated(rest.x, rest.gate, rest.y);
    if (!rest.norms.query) continue;
    const int64_t d = rest.out.dim(-1) / 3;
    rms_norm_heads(rest.out.columns(0, d), rest.norms.query, rest.norms.eps);
    rms_norm_heads(rest.out.columns(d, 2 * d), rest.norms.key, rest.norms.eps);
  }
}

Tensor Ops::attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options) {
  Tensor out = empty({q.dim(0), q.dim(1), q.dim(2)}, q.dtype);
  attention_into(out, q, k, v, options);
  return out;
}

void Ops::attention_into(const Tensor& out, const Tensor& q, const Tensor& k, const Tensor& v,
                         const AttentionOptions& options) {
  assert(q.rank == 3 && same_shape(out, q) && same_shape(k, v) && q.dim(0) == k.dim(0) && q.dim(2) == k.dim(2) &&
         q.dim(2) % options.heads == 0);
  begin(4.0 * static_cast<double>(q.numel()) * static_cast<double>(k.dim(1)),
        predicts() ? attention_seconds(rates(), q, k, options.heads) : 0);
  const AttentionCall call{out, q, k, v, options, q.dim(2) / options.heads};
  Scope s = scope();
  void* memory = take(device_.workspace(call));
  if (!measuring()) device_.do_attention(call, memory);
}

Tensor Ops::conv2d(const Tensor& x, const Conv& w, ConvOptions options) {
  const int64_t upscale = options.upsample ? 2 : 1;
  Tensor out =
      empty({x.dim(0), x.dim(1) * upscale / options.stride, x.dim(2) * upscale / options.stride, w.weight.shape.out}, x.dtype);
  conv2d_into(out, x, w, options);
  return out;
}

void Ops::conv2d_into(const Tensor& out, const Tensor& x, const Conv& w, ConvOptions options) {
  assert(x.rank == 4 && x.contiguous() && out.contiguous() && x.dim(3) == w.weight.shape.in &&
         out.dim(3) == w.weight.shape.out);
  assert(device_.multiplies(w.weight.format, x.dtype) && options.upsample == w.weight.shape.upsample);
  assert(options.stride == 1 || (options.stride == 2 && !options.upsample && !options.rows.end));
  [[maybe_unused]] const int64_t height = x.dim(1) * (options.upsample ? 2 : 1) / options.stride;
  [[maybe_unused]] const RowRange rows = options.rows.end ? options.rows : RowRange{0, height};
  assert(0 <= rows.begin && rows.begin < rows.end && rows.end <= height && out.dim(1) == rows.end - rows.begin);
  // Doubled pixels are equal in fours: 2×2 sums of taps do what 3×3 taps would.
  const double folded = options.upsample && device_.capabilities().folded_upsampling ? 4.0 / 9 : 1;
  begin(2.0 * folded * static_cast<double>(out.numel()) * static_cast<double>(w.weight.shape.row()),
        predicts() ? folded * convolution_seconds(rates(), out, x, w.weight) : 0);
  const ConvCall call{out, x, w, options};
  Scope s = scope();
  void* memory = take(device_.workspace(call));
  if (!measuring()) device_.do_conv2d(call, memory);
}

Tensor Ops::layer_norm(const Tensor& x, const Norm& norm, float eps) {
  Tensor out = empty_like(*this, x, x.dim(-1), dtype());
  begin({out, x});
  if (!measuring()) device_.do_layer_norm(out, x, norm, eps);
  return out;
}

Tensor Ops::rms_norm(const Tensor& x, const Tensor& weight, float eps) {
  assert(weight.dim(0) == x.dim(-1));
  Tensor out = empty_like(*this, x, x.dim(-1), dtype());
  begin({out, x});
  if (!measuring()) device_.do_rms_norm(out, x, weight, eps);
  return out;
}

void Ops::rms_norm_heads(const Tensor& x, const Tensor& weight, float eps) {
  assert(x.rank == 3 && x.dim(2) % weight.dim(0) == 0);
  begin({x, x});
  if (measuring()) return;
  // Each head is a row of its own: [b, t, heads·d] seen as [b, t, heads, d].
  Tensor heads = x;
  heads.rank = 4;
  heads.shape = {x.dim(0), x.dim(1), x.dim(2) / weight.dim(0), weight.dim(0)};
  heads.stride = {x.stride[0], x.stride[1], weight.dim(0), 1};
  device_.do_rms_norm(heads, heads, weight, eps);
}

Tensor Ops::norm_modulate(const Tensor& x, const Tensor& shift, const Tensor& scale, float eps) {
  assert(x.rank == 3 && shift.dim(0) == x.dim(0) && same_shape(shift, scale) && shift.dim(1) == x.dim(2));
  Tensor out = empty_like(*this, x, x.dim(-1), dtype());
  begin({out, x});
  if (!measuring()) device_.do_norm_modulate(out, x, shift, scale, eps);
  return out;
}

Tensor Ops::group_norm(const Tensor& x, const Norm& norm, int64_t groups, float eps, Activation activation) {
  Tensor out = empty_like(*this, x, x.dim(-1), dtype());
  Scope s = scope();
  Tensor sums = empty({x.dim(0), x.dim(1) * group_pieces_of_row(x), 2, x.dim(3)}, DType::f32);
  group_sums(sums, x);
  scale_shift(out, x, group_factors(sums, x.dim(1) * x.dim(2), norm, groups, eps), activation);
  return out;
}

void Ops::group_sums(const Tensor& sums, const Tensor& x) {
  assert(x.rank == 4 && x.contiguous() && sums.rank == 4 && sums.contiguous() && sums.dtype == DType::f32);
  assert(sums.dim(0) == x.dim(0) && sums.dim(2) == 2 && sums.dim(3) == x.dim(3));
  begin({x});
  if (!measuring()) device_.do_group_sums(sums, x);
}

Tensor Ops::group_factors(const Tensor& sums, int64_t pixels, const Norm& norm, int64_t groups, float eps) {
  assert(sums.rank == 4 && sums.contiguous() && sums.dim(3) % groups == 0 && norm.weight.dim(0) == sums.dim(3));
  Tensor factors = empty({sums.dim(0), 2, sums.dim(3)}, DType::f32);
  begin({});
  if (!measuring()) device_.do_group_factors(factors, sums, pixels, norm, groups, eps);
  return factors;
}

void Ops::scale_shift(const Tensor& out, const Tensor& x, const Tensor& factors, Activation activation) {
  assert(x.rank == 4 && x.contiguous() && out.contiguous() && same_shape(out, x));
  assert(factors.rank == 3 && factors.contiguous() && factors.dim(0) == x.dim(0) && factors.dim(2) == x.dim(3));
  begin({out, x});
  if (!measuring()) device_.do_scale_shift(out, x, factors, activation);
}

Tensor Ops::activate(const Tensor& x, Activation activation) {
  Tensor out = empty_like(*this, x, x.dim(-1), dtype());
  begin({out, x});
  if (!measuring()) device_.do_activate(out, x, activation);
  return out;
}

void Ops::add(const Tensor& x, const Tensor& y) {
  assert(x.dim(-1) == y.dim(-1) && (same_shape(x, y) || (x.rank == 3 && y.rank == 2 && x.dim(1) == y.dim(0))));
  begin({x, x, y});
  if (measuring()) return;
  if (same_shape(x, y)) return device_.do_add(x, y);
  for (int64_t b = 0; b < x.dim(0); ++b) device_.do_add(x[b], y);
}

void Ops::multiply(const Tensor& x, const Tensor& y) {
  assert(same_shape(x, y));
  begin({x, x, y});
  if (!measuring()) device_.do_multiply(x, y);
}

void Ops::add_gated(const Tensor& x, const Tensor& gate, const Tensor& y) {
  assert(x.rank == 3 && same_shape(x, y) && gate.dim(0) == x.dim(0) && gate.dim(1) == x.dim(2));
  begin({x, x, y});
  if (!measuring()) device_.do_add_gated(x, gate, y);
}

Tensor Ops::patchify(const Tensor& latents, int64_t patch) {
  assert(latents.rank == 4 && latents.dim(2) % patch == 0 && latents.dim(3) % patch == 0);
  Tensor out = empty({latents.dim(0), (latents.dim(2) / patch) * (latents.dim(3) / patch), latents.dim(1) * patch * patch});
  begin({out, latents});
  if (!measuring()) device_.do_patchify(out, latents, patch);
  return out;
}

Tensor Ops::unpatchify(const Tensor& tokens, int64_t patch, int64_t channels, int64_t height, int64_t width) {
  assert(tokens.rank == 3 && tokens.dim(1) == (height / patch) * (width / patch) && tokens.dim(2) == patch * patch * channels);
  Tensor out = empty({tokens.dim(0), channels, height, width}, DType::f32);
  begin({out, tokens});
  if (!measuring()) device_.do_unpatchify(out, tokens, patch);
  return out;
}

Tensor Ops::to_nhwc(const Tensor& latents, float scale, float shift) {
  assert(latents.rank == 4);
  Tensor out = empty({latents.dim(0), latents.dim(2), latents.dim(3), latents.dim(1)});
  begin({out, latents});
  if (!measuring()) device_.do_to_nhwc(out, latents, scale, shift);
  return out;
}

Tensor Ops::to_bytes(const Tensor& pixels) {
  assert(pixels.rank == 4 && pixels.dtype == DType::f32 && pixels.contiguous());
  Tensor out = empty({pixels.dim(0), pixels.dim(1), pixels.dim(2), pixels.dim(3)}, DType::u8);
  begin({out, pixels});
  if (!measuring()) device_.do_to_bytes(out, pixels);
  return out;
}

Tensor Ops::cfg(const Tensor& v, const CfgOptions& options) {
  assert(v.rank == 4 && v.dim(0) % options.rows() == 0 && v.dtype == DType::f32 && v.contiguous());
  Tensor out = empty({v.dim(0) / options.rows(), v.dim(1), v.dim(2), v.dim(3)}, DType::f32);
  begin({out, v});
  if (!measuring()) device_.do_cfg(out, v, options);
  return out;
}

void Ops::rescale(const Tensor& x, const Tensor& like, float amount) {
  assert(same_shape(x, like) && x.dtype == DType::f32 && like.dtype == DType::f32 && x.contiguous() && like.contiguous());
  begin({x, x, x, like});
  if (!measuring()) device_.do_rescale(x, like, amount);
}

void Ops::combine(const CombineCall& call) {
  assert(call.state.contiguous() && call.v.contiguous() && call.coefficients.contiguous() && call.terms() <= kMostTerms);
  assert(call.state.numel() == call.parts() * call.v.numel() && call.terms() == call.parts() + (call.noise ? 2 : 1));
  assert(!call.noise || (same_shape(call.noise, call.v) && call.noise.contiguous()));
  begin({call.state, call.state, call.v, call.noise});
  if (!measuring()) device_.do_combine(call);
}

}  // namespace fude
