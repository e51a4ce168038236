// Linears and convolutions through oneDNN, and the choice of instruction set for the CPU device.
#include "cpu/onednn_ops.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "core/system.h"
#include "cpu/amx_gemm.h"
#include "cpu/onednn.h"
#include "cpu/parallel.h"
#include "cpu/rows.h"
#include "fude/error.h"

namespace fude {

namespace cpu {

// oneDNN's instruction sets are bit masks, not an order: AVX2 with VNNI is a larger number than all of AVX-512.
bool has(dnnl::cpu_isa wanted) {
  const int bits = static_cast<int>(wanted);
  return (static_cast<int>(dnnl::get_effective_cpu_isa()) & bits) == bits;
}

bool multiplies_bf16() {
  static const bool yes = has(dnnl::cpu_isa::avx512_core_bf16);
  return yes;
}

bool has_tiles() {
  static const bool yes = has(dnnl::cpu_isa::avx512_core_amx) && may_use_tiles();
  return yes;
}

bool is_tuned(DType t) { return t == DType::f32 || (t == DType::bf16 && multiplies_bf16()); }

dnnl::memory::data_type dnnl_type(DType t) {
  return t == DType::bf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

const RowKernels& row_kernels() {
  static const RowKernels* const chosen = has(dnnl::cpu_isa::avx512_core) ? &kAvx512Rows
                                          : has(dnnl::cpu_isa::avx2)      ? &kAvx2Rows
                                                                          : &kBaselineRows;
  return *chosen;
}

}  // namespace cpu

namespace {

using cpu::dnnl_type;
using cpu::is_tuned;
using dnnl::memory;
using tag = dnnl::memory::format_tag;

memory::desc matrix(int64_t rows, int64_t columns, DType dtype, int64_t row_stride, int64_t column_stride = 1) {
  return memory::desc({rows, columns}, dnnl_type(dtype), memory::dims{row_stride, column_stride});
}

// Scratchpads come from the arena, so that the plan counts them.
dnnl::primitive_attr attributes(Activation activation, bool accumulate) {
  using dnnl::algorithm;
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  dnnl::post_ops ops;
  switch (activation) {
    case Activation::none: break;
    case Activation::silu: cpu::append_eltwise(ops, algorithm::eltwise_swish, 1.0f); break;
    case Activation::quick_gelu: cpu::append_eltwise(ops, algorithm::eltwise_swish, 1.702f); break;
    case Activation::gelu_tanh: cpu::append_eltwise(ops, algorithm::eltwise_gelu_tanh, 0.0f); break;
    case Activation::gelu_erf: cpu::append_eltwise(ops, algorithm::eltwise_gelu_erf, 0.0f); break;
  }
  if (accumulate) ops.append_sum(1.0f);
  attr.set_post_ops(ops);
  return attr;
}

template <class Map, class Key, class Make>
const typename Map::mapped_type& remember(Map& map, const Key& key, Make make) {
  auto found = map.find(key);
  if (found == map.end()) found = map.emplace(key, make()).first;
  return found->second;
}

// The AMX GEMM takes linears, and 1×1 convolutions, which are linears.
bool is_tiled(const WeightShape& shape, WeightFormat format) {
  return shape.kernel == 1 && format == WeightFormat::bf16 && cpu::has_tiles();
}

int64_t round_up(int64_t n) { return (n + 63) / 64 * 64; }

// A call on row ranges of a batch is one two-dimensional GEMM for each item.
struct Batches {
  int64_t count, rows;
};
Batches batches(const Tensor& x) {
  if (x.rank == 2) return {1, x.dim(0)};
  return {x.dim(0), x.dim(1)};
}
Tensor item(const Tensor& t, int64_t i) { return t.rank == 2 ? t : t[i]; }
int64_t row_stride(const Tensor& t) { return t.stride[static_cast<size_t>(t.rank - 2)]; }

}  // namespace

// oneDNN is asked for the packed layout of a linear with one typical number of rows; all others then use that layout.
const memory::desc& CpuDevice::Products::packed_linear(int64_t in, int64_t out, DType dtype) {
  return remember(packed_, std::tuple{out, in, int64_t{1}, dtype}, [&] {
    const int64_t rows = 512;
    const memory::desc any({in, out}, dnnl_type(dtype), tag::any);
    return memory::desc(cpu::describe<dnnl::matmul>(engine, attributes(Activation::none, false), matrix(rows, in, dtype, in),
                                                    any, matrix(rows, out, dtype, out))
                            .weights_desc());
  });
}

// The weight layout oneDNN picks for most picture sizes. On AMX it blocks pictures 256 or more pixels wide differently; forced
// into this layout, it would fall back to loops a thousand times slower. Such calls reorder the weights first.
const memory::desc& CpuDevice::Products::packed_conv(const WeightShape& s, DType dtype) {
  return remember(packed_, std::tuple{s.out, s.in, s.kernel, dtype}, [&] {
    return memory::desc(
        make_conv({1, 64, 64, s.in, s.out, s.kernel, 1, s.kernel / 2, s.kernel / 2, dtype, false}).weights_desc());
  });
}

const CpuDevice::Products::Matmul& CpuDevice::Products::linear(const LinearKey& key) {
  return remember(linears_, key, [&] {
    const auto x = matrix(key.m, key.k, key.x, key.k);
    const auto out = matrix(key.m, key.n, key.out, key.n);
    const memory::desc bias({1, key.n}, memory::data_type::f32, tag::ab);
    const memory::desc& weights = packed_linear(key.k, key.n, key.x);
    const auto attr = attributes(key.activation, key.accumulate);
    if (key.bias) return Matmul(cpu::describe<dnnl::matmul>(engine, attr, x, weights, bias, out));
    return Matmul(cpu::describe<dnnl::matmul>(engine, attr, x, weights, out));
  });
}

const CpuDevice::Products::Matmul& CpuDevice::Products::matmul(const MatmulKey& key) {
  return remember(matmuls_, key, [&] {
    const auto x = matrix(key.m, key.k, key.x, key.k);
    const auto out = matrix(key.m, key.n, key.out, key.n);
    const memory::desc& w = packed_linear(key.k, key.n, key.x);
    return Matmul(cpu::describe<dnnl::matmul>(engine, attributes(Activation::none, false), x, w, out));
  });
}

dnnl::convolution_forward::primitive_desc CpuDevice::Products::make_conv(const ConvKey& key) {
  // Stride 2 pads right and bottom only.
  const int64_t left = key.stride == 2 ? 0 : key.kernel / 2, right = key.stride == 2 ? key.kernel - 2 : key.kernel / 2;
  const int64_t height = (key.top + key.height + key.bottom - key.kernel) / key.stride + 1, width = key.width / key.stride;
  const memory::desc x({key.n, key.in, key.height, key.width}, dnnl_type(key.dtype), tag::nhwc);
  const memory::desc out({key.n, key.out, height, width}, dnnl_type(key.dtype), tag::nhwc);
  const memory::desc weights({key.out, key.in, key.kernel, key.kernel}, dnnl_type(key.dtype), tag::any);
  const memory::desc bias({key.out}, memory::data_type::f32, tag::a);
  const memory::dims strides{key.stride, key.stride}, before{key.top, left}, behind{key.bottom, right};
  return cpu::describe<dnnl::convolution_forward>(engine, attributes(Activation::none, key.accumulate),
                                                  dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, x,
                                                  weights, bias, out, strides, before, behind);
}

const dnnl::convolution_forward::primitive_desc& CpuDevice::Products::conv(const ConvKey& key) {
  return remember(convs_, key, [&] { return make_conv(key); });
}

std::string CpuDevice::description() const {
  return std::to_string(threads_) + (threads_ == 1 ? " thread, " : " threads, ") + cpu::row_kernels().name +
         (cpu::has_tiles() ? " with AMX" : "");
}

std::string CpuDevice::library() {
  const dnnl_version_t* v = dnnl_version();
  return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch) +
         (cpu::has_tiles() ? ", own AMX products and attention" : "");
}

int64_t CpuDevice::packed_bytes(const WeightShape& shape, WeightFormat format) const {
  const DType dtype = element_of(format);
  if (!is_tuned(dtype)) return ReferenceDevice::packed_bytes(shape, format);
  if (is_tiled(shape, format)) return cpu::packed_tile_bytes(shape.in, shape.out);
  const auto& packed =
      shape.kernel == 1 ? products().packed_linear(shape.in, shape.out, dtype) : products().packed_conv(shape, dtype);
  return static_cast<int64_t>(packed.get_size());
}

Weight CpuDevice::pack(const WeightShape& shape, WeightFormat format, const ReadRows& read, void* destination) const {
  const DType dtype = element_of(format);
  if (!is_tuned(dtype)) return ReferenceDevice::pack(shape, format, read, destination);
  if (is_tiled(shape, format)) return pack_for_amx(shape, read, destination);
  const bool is_linear = shape.kernel == 1;
  const auto& packed = is_linear ? products().packed_linear(shape.in, shape.out, dtype) : products().packed_conv(shape, dtype);
  const auto plain = is_linear ? matrix(shape.in, shape.out, dtype, 1, shape.in)
                               : memory::desc({shape.out, shape.in, shape.kernel, shape.kernel}, dnnl_type(dtype), tag::oihw);
  const int64_t row_bytes = shape.row() * size_of(dtype);
  const auto read_rows = [&](int64_t first, int64_t last, void* rows) {
    cpu::parallel_ranges(threads_, last - first, [&](int64_t begin, int64_t end) {
      read(first + begin, first + end, format, static_cast<char*>(rows) + begin * row_bytes);
    });
  };
  if (plain == packed) {
    read_rows(0, shape.out, destination);
    return {destination, format, shape};
  }
  // In pieces: T5's largest matrix takes 320 MiB, and a whole staging copy of it is not in the plan.
  constexpr int64_t kPieceBytes = int64_t{8} << 20, kColumns = 192;  // a multiple of every layout's column blocks
  int64_t piece = shape.out;
  if (is_linear) piece = std::min(piece, std::max<int64_t>(1, kPieceBytes / (row_bytes * kColumns)) * kColumns);
  if (piece < shape.out && packed.submemory_desc({shape.in, piece}, {0, 0}, true).is_zero()) piece = shape.out;
  const Buffer staging = host_buffer(piece * row_bytes);
  for (int64_t begin = 0; begin < shape.out; begin += piece) {
    const int64_t count = std::min(piece, shape.out - begin);
    read_rows(begin, begin + count, staging.data());
    memory from(count == shape.out ? plain : matrix(shape.in, count, dtype, 1, shape.in), products().engine, staging.data());
    memory to(count == shape.out ? packed : packed.submemory_desc({shape.in, count}, {0, begin}), products().engine,
              destination);
    dnnl::reorder(from, to).execute(products().stream, from, to);
    products().stream.wait();
  }
  return {destination, format, shape};
}

// Before AVX-512 oneDNN only has its generic GEMM, and there a fused activation is slower than a separate pass.
bool CpuDevice::activates_apart(const LinearCall& call) {
  static const bool has_avx512 = cpu::has(dnnl::cpu_isa::avx512_core);
  return !has_avx512 && call.options.activation != Activation::none && !call.options.accumulate;
}

const CpuDevice::Products::Matmul& CpuDevice::Products::linear(const LinearCall& call) {
  const WeightShape& w = call.w.weight.shape;
  return linear({batches(call.x).rows, w.out, w.in, call.x.dtype, call.out.dtype, bool(call.w.bias), call.options.accumulate,
                 activates_apart(call) ? Activation::none : call.options.activation});
}

int64_t CpuDevice::workspace(const std::vector<LinearCall>& calls) const {
  int64_t most = 0;
  for (const LinearCall& call : calls) most = std::max(most, linear_workspace(call));
  return most;
}

void CpuDevice::do_linears(const std::vector<LinearCall>& calls, void* workspace) {
  std::vector<LinearCall> tiled;
  for (const LinearCall& call : calls) {
    if (is_tiled(call.w.weight.shape, call.w.weight.format)) tiled.push_back(call);
    else linear(call, workspace);
  }
  if (!tiled.empty()) multiply_on_amx(tiled, workspace);
}

// Gathers the columns of a wider tensor into contiguous rows: from AVX-512 on, oneDNN's packed GEMMs take no strides.
struct CpuDevice::Products::Contiguous {
  explicit Contiguous(const Tensor& t)
      : rows(batches(t).rows), row_bytes(t.dim(-1) * size_of(t.dtype)), stride(row_stride(t) * size_of(t.dtype)) {}

  int64_t bytes() const { return stride == row_bytes || rows == 1 ? 0 : round_up(rows * row_bytes); }
  void gather(const void* from, char* to) const {
    for (int64_t r = 0; r < rows; ++r)
      std::memcpy(to + r * row_bytes, static_cast<const char*>(from) + r * stride, static_cast<size_t>(row_bytes));
  }
  void scatter(const char* from, void* to) const {
    for (int64_t r = 0; r < rows; ++r)
      std::memcpy(static_cast<char*>(to) + r * stride, from + r * row_bytes, static_cast<size_t>(row_bytes));
  }

  int64_t rows, row_bytes, stride;
};

// The workspace: x and out where they are not contiguous, then oneDNN's scratch.
int64_t CpuDevice::linear_workspace(const LinearCall& call) const {
  if (!is_tuned(element_of(call.w.weight.format))) return 0;
  if (is_tiled(call.w.weight.shape, call.w.weight.format)) return amx_workspace(call);
  return Products::Contiguous(call.x).bytes() + Products::Contiguous(call.out).bytes() +
         static_cast<int64_t>(products().linear(call).pd.scratchpad_desc().get_size());
}

void CpuDevice::linear(const LinearCall& call, void* workspace) {
  const Weight& w = call.w.weight;
  if (!is_tuned(element_of(w.format))) return ReferenceDevice::do_linears({call}, workspace);
  const auto& [pd, matmul] = products().linear(call);
  const dnnl::engine& engine = products().engine;
  const Products::Contiguous x(call.x), out(call.out);
  char* const gathered_x = static_cast<char*>(workspace);
  char* const gathered_out = gathered_x + x.bytes();
  char* const scratch = gathered_out + out.bytes();
  for (int64_t b = 0; b < batches(call.x).count; ++b) {
    void *from = item(call.x, b).data, *to = item(call.out, b).data;
    if (x.bytes()) x.gather(from, gathered_x);
    if (out.bytes() && call.options.accumulate) out.gather(to, gathered_out);
    std::unordered_map<int, memory> args = {{DNNL_ARG_SRC, memory(pd.src_desc(), engine, x.bytes() ? gathered_x : from)},
                                            {DNNL_ARG_WEIGHTS, memory(pd.weights_desc(), engine, const_cast<void*>(w.data))},
                                            {DNNL_ARG_DST, memory(pd.dst_desc(), engine, out.bytes() ? gathered_out : to)},
                                            {DNNL_ARG_SCRATCHPAD, memory(pd.scratchpad_desc(), engine, scratch)}};
    if (call.w.bias) args.emplace(DNNL_ARG_BIAS, memory(pd.bias_desc(), engine, call.w.bias.data));
    matmul.execute(products().stream, args);
    products().stream.wait();
    if (out.bytes()) out.scatter(gathered_out, to);
  }
  if (activates_apart(call)) do_activate(call.out, call.out, call.options.activation);
}

namespace {

// The input rows, halo included, that the wanted output rows of a convolution read: all of them, or rows of a single picture.
struct ConvSource {
  ConvSource(const Tensor& x, int64_t kernel, const ConvOptions& options) : read(x) {
    const int64_t upscale = options.upsample ? 2 : 1;
    const int64_t height = x.dim(1) * upscale;
    const int64_t halo = kernel / 2;
    const RowRange wanted = options.rows.end ? options.rows : RowRange{0, height};
    const int64_t begin = std::max<int64_t>(wanted.begin - halo, 0);
    const int64_t end = std::min(wanted.end + halo, height);
    rows = end - begin;
    top = options.stride == 2 ? 0 : halo - (wanted.begin - begin);
    bottom = options.stride == 2 ? kernel - 2 : halo - (end - wanted.end);
    first = begin % upscale;
    if (rows == height) return;
    assert(x.dim(0) == 1);
    read = x[0].batch(begin / upscale, (end + upscale - 1) / upscale);
    read = read.view({1, read.dim(0), read.dim(1), read.dim(2)});
  }

  Tensor read;
  int64_t first, rows;  // of the upsampled picture: those that the convolution gets
  int64_t top, bottom;  // rows of padding
};

}  // namespace

// The workspace: the upsampled picture, the weights in another layout (each only where it is needed), oneDNN's scratch.
struct CpuDevice::Products::ConvPlan {
  ConvPlan(Products& products, const ConvCall& call)
      : source(call.x, call.w.weight.shape.kernel, call.options),
        packed(products.packed_conv(call.w.weight.shape, call.x.dtype)),
        pd(products.conv({call.x.dim(0), source.rows, call.x.dim(2) * (call.options.upsample ? 2 : 1), call.w.weight.shape.in,
                          call.w.weight.shape.out, call.w.weight.shape.kernel, call.options.stride, source.top, source.bottom,
                          call.x.dtype, call.options.accumulate})),
        upsampled_bytes(call.options.upsample ? round_up(4 * source.read.bytes()) : 0),
        reordered_bytes(pd.weights_desc() == packed ? 0 : round_up(static_cast<int64_t>(pd.weights_desc().get_size()))) {}

  int64_t bytes() const { return upsampled_bytes + reordered_bytes + static_cast<int64_t>(pd.scratchpad_desc().get_size()); }

  ConvSource source;
  const memory::desc& packed;
  const dnnl::convolution_forward::primitive_desc& pd;
  int64_t upsampled_bytes, reordered_bytes;
};

// A 1×1 convolution is a linear over pixels, and its weight is packed as one.
LinearCall CpuDevice::as_linear(const ConvCall& call) {
  const Tensor x = ConvSource(call.x, 1, call.options).read;
  return {call.out.view({call.out.numel() / call.out.dim(3), call.out.dim(3)}),
          x.view({x.numel() / x.dim(3), x.dim(3)}),
          {call.w.weight, call.w.bias},
          {.accumulate = call.options.accumulate},
          {}};
}

// Row ranges of a batch are convolved picture by picture.
ConvCall CpuDevice::of_picture(const ConvCall& call, int64_t i) {
  return {call.out.batch(i, i + 1), call.x.batch(i, i + 1), call.w, call.options};
}

int64_t CpuDevice::workspace(const ConvCall& call) const {
  if (!is_tuned(call.x.dtype)) return 0;
  if (call.options.rows.end && call.x.dim(0) > 1) return workspace(of_picture(call, 0));
  if (call.w.weight.shape.kernel == 1) return linear_workspace(as_linear(call));
  return Products::ConvPlan(products(), call).bytes();
}

void CpuDevice::do_conv2d(const ConvCall& call, void* workspace) {
  if (!is_tuned(call.x.dtype)) return ReferenceDevice::do_conv2d(call, workspace);
  if (call.options.rows.end && call.x.dim(0) > 1) {
    for (int64_t i = 0; i < call.x.dim(0); ++i) do_conv2d(of_picture(call, i), workspace);
    return;
  }
  if (call.w.weight.shape.kernel == 1) return do_linears({as_linear(call)}, workspace);
  const Products::ConvPlan plan(products(), call);
  const dnnl::engine& engine = products().engine;
  char* const upsampled = static_cast<char*>(workspace);
  char* const reordered = upsampled + plan.upsampled_bytes;
  char* const scratch = reordered + plan.reordered_bytes;
  const char* source = static_cast<const char*>(plan.source.read.data);
  if (plan.upsampled_bytes) {
    upsample(plan.source.read, upsampled);
    source = upsampled + plan.source.first * 2 * call.x.dim(2) * call.x.dim(3) * size_of(call.x.dtype);
  }
  memory weights(plan.packed, engine, const_cast<void*>(call.w.weight.data));
  if (plan.reordered_bytes) {
    memory reordered_weights(plan.pd.weights_desc(), engine, reordered);
    dnnl::reorder(weights, reordered_weights).execute(products().stream, weights, reordered_weights);
    weights = reordered_weights;
  }
  dnnl::convolution_forward(plan.pd).execute(products().stream,
                                             {{DNNL_ARG_SRC, memory(plan.pd.src_desc(), engine, const_cast<char*>(source))},
                                              {DNNL_ARG_WEIGHTS, weights},
                                              {DNNL_ARG_BIAS, memory(plan.pd.bias_desc(), engine, call.w.bias.data)},
                                              {DNNL_ARG_DST, memory(plan.pd.dst_desc(), engine, call.out.data)},
                                              {DNNL_ARG_SCRATCHPAD, memory(plan.pd.scratchpad_desc(), engine, scratch)}});
  products().stream.wait();
}

// Nearest neighbour: each pixel twice in both directions.
void CpuDevice::upsample(const Tensor& x, char* out) const {
  const int64_t width = x.dim(2);
  const int64_t pixel = x.dim(3) * size_of(x.dtype);
  cpu::parallel_ranges(threads_, x.dim(0) * x.dim(1), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      char* const to = out + row * 4 * width * pixel;
      const char* const from = static_cast<const char*>(x.data) + row * width * pixel;
      for (int64_t i = 0; i < 2 * width; ++i) std::memcpy(to + i * pixel, from + i / 2 * pixel, static_cast<size_t>(pixel));
      std::memcpy(to + 2 * width * pixel, to, static_cast<size_t>(2 * width * pixel));
    }
  });
}

}  // namespace fude
