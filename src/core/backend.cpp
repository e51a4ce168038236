#include "core/backend.h"

#include <cassert>
#include <chrono>
#include <cstring>
#include <string>
#include <utility>

#include "core/noise.h"
#include "core/system.h"
#include "fude/error.h"

namespace fude {

namespace {

// The shape of x with another last dimension.
Tensor empty_like(const Backend& op, const Tensor& x, int64_t columns, DType dtype) {
  switch (x.rank) {
    case 1: return op.empty({columns}, dtype);
    case 2: return op.empty({x.dim(0), columns}, dtype);
    case 3: return op.empty({x.dim(0), x.dim(1), columns}, dtype);
    default: return op.empty({x.dim(0), x.dim(1), x.dim(2), columns}, dtype);
  }
}

}  // namespace

double Backend::now() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

DeviceMemory Backend::device_memory() const {
  const HostMemory host = host_memory();
  return {host.total, host.available};
}

void Backend::poll() const {
  if (stop_ && stop_->load(std::memory_order_relaxed)) throw Error(Code::cancelled, "stopped at your request");
}

void Backend::begin(double flops, double seconds) {
  work_.flops += flops;
  work_.seconds += seconds;
  poll();
}

void Backend::begin(std::initializer_list<Tensor> tensors) {
  int64_t bytes = 0;
  if (predicts())
    for (const Tensor& tensor : tensors) bytes += tensor.bytes();
  begin(0, predicts() ? pass_seconds(*rates_, bytes) : 0);
}

void Backend::begin_transfer(const Tensor& x) {
  begin(0, predicts() && rates_->upload > 0 ? static_cast<double>(x.bytes()) / rates_->upload : 0);
}

void* Backend::take(int64_t bytes) const {
  void* memory = arena_->allocate(bytes);
#ifdef FUDE_POISON_ARENA
  if (!measuring()) poison(memory, bytes);
#endif
  return memory;
}

void Backend::poison(void* memory, int64_t bytes) const { std::memset(memory, 0xff, static_cast<size_t>(bytes)); }

Tensor Backend::empty(std::initializer_list<int64_t> shape, DType dtype) const {
  Tensor t = Tensor::of(nullptr, dtype, shape);
  t.data = take(t.bytes());
  return t;
}

Tensor Backend::empty_on_host(std::initializer_list<int64_t> shape, DType dtype) const {
  Tensor t = Tensor::of(nullptr, dtype, shape);
  t.data = host_arena_->allocate(t.bytes());
  return t;
}

void Backend::to_host(const Tensor& host, const Tensor& x) {
  assert(same_shape(host, x) && host.dtype == x.dtype && host.contiguous() && x.contiguous());
  begin_transfer(x);
  if (!measuring()) do_to_host(host, x);
}

void Backend::from_host(const Tensor& x, const Tensor& host) {
  assert(same_shape(host, x) && host.dtype == x.dtype && host.contiguous() && x.contiguous());
  begin_transfer(x);
  if (!measuring()) do_upload(x, host.data);
}

Tensor Backend::pack_vector(int64_t n, const ReadRows& read, void* memory, Side) const {
  read(0, n, DType::f32, memory);
  return Tensor::of(memory, DType::f32, {n});
}

void Backend::copy_weights(void* device, const void* host, int64_t bytes) const {
  std::memcpy(device, host, static_cast<size_t>(bytes));
}

void Backend::replay(std::unique_ptr<DeviceGraph>&, const std::function<void()>& work) { work(); }

int64_t Backend::packed_bytes(const WeightShape& shape, DType dtype) const { return shape.numel() * size_of(dtype); }

Tensor Backend::upload(const void* host, DType dtype, std::initializer_list<int64_t> shape) {
  Tensor out = empty(shape, dtype);
  if (!measuring()) do_upload(out, host);
  return out;
}

Tensor Backend::noise(Noise kind, uint64_t seed, std::initializer_list<int64_t> shape) {
  Tensor out = empty(shape, DType::f32);
  begin({out});
  if (!measuring()) do_noise(out, kind, seed);
  return out;
}

void Backend::do_noise(const Tensor& out, Noise kind, uint64_t seed) {
  do_upload(out, torch_randn(kind, seed, out.numel()).data());
}

void Backend::copy(const Tensor& out, const Tensor& x) {
  assert(same_shape(out, x));
  begin({out, x});
  if (!measuring()) do_copy(out, x);
}

Tensor Backend::linear(const Tensor& x, const Linear& w, LinearOptions options) {
  Tensor out = empty_like(*this, x, w.weight.shape.out, dtype_);
  linear_into(out, x, w, options);
  return out;
}

void Backend::linear_into(const Tensor& out, const Tensor& x, const Linear& w, LinearOptions options) {
  linears({{out, x, w, options, {}}});
}

void Backend::linears(std::vector<LinearCall> calls) {
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
  double seconds = predicts() ? rates_->launch : 0;
  for (LinearCall& call : calls) {
    const WeightShape& w = call.w.weight.shape;
    assert(call.x.rank == call.out.rank && call.x.dim(-1) == w.in && call.out.dim(-1) == w.out && w.kernel == 1);
    assert(call.x.numel() / w.in == call.out.numel() / w.out && (call.x.rank <= 3 || call.x.contiguous()));
    flops += 2.0 * static_cast<double>(call.x.numel()) * static_cast<double>(w.out);
    if (predicts()) seconds += product_seconds(*rates_, call.out, call.x, call.w.weight, rows);
    Rest rest;
    if (call.gate && !gates_linears()) {
      rest = {.x = call.out,
              .gate = std::exchange(call.gate, {}),
              .y = empty({call.out.dim(0), call.out.dim(1), w.out}),
              .out = {},
              .norms = {}};
      call.out = rest.y;
    }
    if (call.options.norms.query && !norms_heads(call)) {
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
  void* memory = take(workspace(calls));
  if (!measuring()) do_linears(calls, memory);
  for (const Rest& rest : rests) {
    if (rest.gate) add_gated(rest.x, rest.gate, rest.y);
    if (!rest.norms.query) continue;
    const int64_t d = rest.out.dim(-1) / 3;
    rms_norm_heads(rest.out.columns(0, d), rest.norms.query, rest.norms.eps);
    rms_norm_heads(rest.out.columns(d, 2 * d), rest.norms.key, rest.norms.eps);
  }
}

Tensor Backend::attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options) {
  Tensor out = empty({q.dim(0), q.dim(1), q.dim(2)}, q.dtype);
  attention_into(out, q, k, v, options);
  return out;
}

void Backend::attention_into(const Tensor& out, const Tensor& q, const Tensor& k, const Tensor& v,
                             const AttentionOptions& options) {
  assert(q.rank == 3 && same_shape(out, q) && same_shape(k, v) && q.dim(0) == k.dim(0) && q.dim(2) == k.dim(2) &&
         q.dim(2) % options.heads == 0);
  begin(4.0 * static_cast<double>(q.numel()) * static_cast<double>(k.dim(1)),
        predicts() ? attention_seconds(*rates_, q, k, options.heads) : 0);
  const AttentionCall call{out, q, k, v, options, q.dim(2) / options.heads};
  Scope s = scope();
  void* memory = take(workspace(call));
  if (!measuring()) do_attention(call, memory);
}

Tensor Backend::conv2d(const Tensor& x, const Conv& w, ConvOptions options) {
  const int64_t upscale = options.upsample ? 2 : 1;
  Tensor out =
      empty({x.dim(0), x.dim(1) * upscale / options.stride, x.dim(2) * upscale / options.stride, w.weight.shape.out}, x.dtype);
  conv2d_into(out, x, w, options);
  return out;
}

void Backend::conv2d_into(const Tensor& out, const Tensor& x, const Conv& w, ConvOptions options) {
  assert(x.rank == 4 && x.contiguous() && out.contiguous() && x.dim(3) == w.weight.shape.in &&
         out.dim(3) == w.weight.shape.out);
  assert(options.upsample == w.weight.shape.upsample);
  assert(options.stride == 1 || (options.stride == 2 && !options.upsample && !options.rows.end));
  [[maybe_unused]] const int64_t height = x.dim(1) * (options.upsample ? 2 : 1) / options.stride;
  [[maybe_unused]] const RowRange rows = options.rows.end ? options.rows : RowRange{0, height};
  assert(0 <= rows.begin && rows.begin < rows.end && rows.end <= height && out.dim(1) == rows.end - rows.begin);
  // Doubled pixels are equal in fours: 2×2 sums of taps do what 3×3 taps would.
  const double folded = options.upsample && folds_upsampling() ? 4.0 / 9 : 1;
  begin(2.0 * folded * static_cast<double>(out.numel()) * static_cast<double>(w.weight.shape.row()),
        predicts() ? folded * convolution_seconds(*rates_, out, x, w.weight) : 0);
  const ConvCall call{out, x, w, options};
  Scope s = scope();
  void* memory = take(workspace(call));
  if (!measuring()) do_conv2d(call, memory);
}

Tensor Backend::layer_norm(const Tensor& x, const Norm& norm, float eps) {
  Tensor out = empty_like(*this, x, x.dim(-1), dtype_);
  begin({out, x});
  if (!measuring()) do_layer_norm(out, x, norm, eps);
  return out;
}

Tensor Backend::rms_norm(const Tensor& x, const Tensor& weight, float eps) {
  assert(weight.dim(0) == x.dim(-1));
  Tensor out = empty_like(*this, x, x.dim(-1), dtype_);
  begin({out, x});
  if (!measuring()) do_rms_norm(out, x, weight, eps);
  return out;
}

void Backend::rms_norm_heads(const Tensor& x, const Tensor& weight, float eps) {
  assert(x.rank == 3 && x.dim(2) % weight.dim(0) == 0);
  begin({x, x});
  if (measuring()) return;
  // Each head is a row of its own: [b, t, heads·d] seen as [b, t, heads, d].
  Tensor heads = x;
  heads.rank = 4;
  heads.shape = {x.dim(0), x.dim(1), x.dim(2) / weight.dim(0), weight.dim(0)};
  heads.stride = {x.stride[0], x.stride[1], weight.dim(0), 1};
  do_rms_norm(heads, heads, weight, eps);
}

Tensor Backend::norm_modulate(const Tensor& x, const Tensor& shift, const Tensor& scale, float eps) {
  assert(x.rank == 3 && shift.dim(0) == x.dim(0) && same_shape(shift, scale) && shift.dim(1) == x.dim(2));
  Tensor out = empty_like(*this, x, x.dim(-1), dtype_);
  begin({out, x});
  if (!measuring()) do_norm_modulate(out, x, shift, scale, eps);
  return out;
}

void Backend::do_norm_modulate(const Tensor& out, const Tensor& x, const Tensor& shift, const Tensor& scale, float eps) {
  do_layer_norm(out, x, Norm{}, eps);
  do_modulate(out, out, shift, scale);
}

Tensor Backend::group_norm(const Tensor& x, const Norm& norm, int64_t groups, float eps, Activation activation) {
  Tensor out = empty_like(*this, x, x.dim(-1), dtype_);
  Scope s = scope();
  Tensor sums = empty({x.dim(0), group_pieces(x), 2, x.dim(3)}, DType::f32);
  group_sums(sums, x);
  scale_shift(out, x, group_factors(sums, x.dim(1) * x.dim(2), norm, groups, eps), activation);
  return out;
}

void Backend::group_sums(const Tensor& sums, const Tensor& x) {
  assert(x.rank == 4 && x.contiguous() && sums.rank == 4 && sums.contiguous() && sums.dtype == DType::f32);
  assert(sums.dim(0) == x.dim(0) && sums.dim(2) == 2 && sums.dim(3) == x.dim(3));
  begin({x});
  if (!measuring()) do_group_sums(sums, x);
}

Tensor Backend::group_factors(const Tensor& sums, int64_t pixels, const Norm& norm, int64_t groups, float eps) {
  assert(sums.rank == 4 && sums.contiguous() && sums.dim(3) % groups == 0 && norm.weight.dim(0) == sums.dim(3));
  Tensor factors = empty({sums.dim(0), 2, sums.dim(3)}, DType::f32);
  begin({});
  if (!measuring()) do_group_factors(factors, sums, pixels, norm, groups, eps);
  return factors;
}

void Backend::scale_shift(const Tensor& out, const Tensor& x, const Tensor& factors, Activation activation) {
  assert(x.rank == 4 && x.contiguous() && out.contiguous() && same_shape(out, x));
  assert(factors.rank == 3 && factors.contiguous() && factors.dim(0) == x.dim(0) && factors.dim(2) == x.dim(3));
  begin({out, x});
  if (!measuring()) do_scale_shift(out, x, factors, activation);
}

Tensor Backend::activate(const Tensor& x, Activation activation) {
  Tensor out = empty_like(*this, x, x.dim(-1), dtype_);
  begin({out, x});
  if (!measuring()) do_activate(out, x, activation);
  return out;
}

void Backend::add(const Tensor& x, const Tensor& y) {
  assert(x.dim(-1) == y.dim(-1) && (same_shape(x, y) || (x.rank == 3 && y.rank == 2 && x.dim(1) == y.dim(0))));
  begin({x, x, y});
  if (measuring()) return;
  if (same_shape(x, y)) return do_add(x, y);
  for (int64_t b = 0; b < x.dim(0); ++b) do_add(x[b], y);
}

void Backend::multiply(const Tensor& x, const Tensor& y) {
  assert(same_shape(x, y));
  begin({x, x, y});
  if (!measuring()) do_multiply(x, y);
}

void Backend::add_gated(const Tensor& x, const Tensor& gate, const Tensor& y) {
  assert(x.rank == 3 && same_shape(x, y) && gate.dim(0) == x.dim(0) && gate.dim(1) == x.dim(2));
  begin({x, x, y});
  if (!measuring()) do_add_gated(x, gate, y);
}

Tensor Backend::patchify(const Tensor& latents, int64_t patch) {
  assert(latents.rank == 4 && latents.dim(2) % patch == 0 && latents.dim(3) % patch == 0);
  Tensor out = empty({latents.dim(0), (latents.dim(2) / patch) * (latents.dim(3) / patch), latents.dim(1) * patch * patch});
  begin({out, latents});
  if (!measuring()) do_patchify(out, latents, patch);
  return out;
}

Tensor Backend::unpatchify(const Tensor& tokens, int64_t patch, int64_t channels, int64_t height, int64_t width) {
  assert(tokens.rank == 3 && tokens.dim(1) == (height / patch) * (width / patch) && tokens.dim(2) == patch * patch * channels);
  Tensor out = empty({tokens.dim(0), channels, height, width}, DType::f32);
  begin({out, tokens});
  if (!measuring()) do_unpatchify(out, tokens, patch);
  return out;
}

Tensor Backend::to_nhwc(const Tensor& latents, float scale, float shift) {
  assert(latents.rank == 4);
  Tensor out = empty({latents.dim(0), latents.dim(2), latents.dim(3), latents.dim(1)});
  begin({out, latents});
  if (!measuring()) do_to_nhwc(out, latents, scale, shift);
  return out;
}

Tensor Backend::to_bytes(const Tensor& pixels) {
  assert(pixels.rank == 4 && pixels.dtype == DType::f32 && pixels.contiguous());
  Tensor out = empty({pixels.dim(0), pixels.dim(1), pixels.dim(2), pixels.dim(3)}, DType::u8);
  begin({out, pixels});
  if (!measuring()) do_to_bytes(out, pixels);
  return out;
}

Tensor Backend::cfg(const Tensor& v, float guidance) {
  assert(v.rank == 4 && v.dim(0) % 2 == 0 && v.dtype == DType::f32);
  Tensor out = empty({v.dim(0) / 2, v.dim(1), v.dim(2), v.dim(3)}, DType::f32);
  begin({out, v});
  if (!measuring()) do_cfg(out, v, guidance);
  return out;
}

void Backend::euler_step(const Tensor& latents, const Tensor& v, const Tensor& dt) {
  assert(same_shape(latents, v) && latents.dtype == DType::f32 && v.dtype == DType::f32 && dt.numel() == 1);
  begin({latents, latents, v});
  if (!measuring()) do_axpy(latents, v, dt);
}

}  // namespace fude
