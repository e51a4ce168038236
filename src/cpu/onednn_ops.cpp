// The primitives of oneDNN that the CPU device uses, weights in their layouts, and the choice of instruction set.
#include "cpu/onednn_ops.h"

#include <algorithm>

#include "core/system.h"
#include "core/thread_team.h"
#include "cpu/amx_gemm.h"
#include "cpu/onednn.h"
#include "cpu/rows.h"

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

bool is_tiled(const WeightShape& shape, WeightFormat format) {
  return shape.kernel == 1 && format == WeightFormat::bf16 && has_tiles();
}

dnnl::memory::data_type dnnl_type(DType t) {
  return t == DType::bf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

dnnl::memory::desc matrix(int64_t rows, int64_t columns, DType dtype, int64_t row_stride, int64_t column_stride) {
  return dnnl::memory::desc({rows, columns}, dnnl_type(dtype), dnnl::memory::dims{row_stride, column_stride});
}

dnnl::memory::desc outputs(const dnnl::memory::desc& weights, int64_t first, int64_t count) {
  dnnl::memory::dims dims = dims_of(weights);
  const size_t output = dims.size() == 2 ? 1 : 0;  // [in, out], [out, in, kernel, kernel]
  dnnl::memory::dims begin(dims.size(), 0);
  dims[output] = count;
  begin[output] = first;
  return weights.submemory_desc(dims, begin, true);
}

void reorder_weights(ThreadTeam& team, const dnnl::memory& from, const dnnl::memory& to) {
  const dnnl::memory::desc from_desc = from.get_desc(), to_desc = to.get_desc();
  const dnnl::memory::dims dims = dims_of(to_desc);
  const int64_t out = dims[dims.size() == 2 ? 1 : 0];
  int64_t piece = std::min(out, kColumnBlock);
  if (!outputs(from_desc, 0, piece) || !outputs(to_desc, 0, piece)) piece = out;
  team.run((out + piece - 1) / piece, [&](int64_t i, int) {
    const int64_t first = i * piece;
    const int64_t count = std::min(piece, out - first);
    if (count == out) return reorder(from, to);
    reorder({outputs(from_desc, first, count), from.get_engine(), from.get_data_handle()},
            {outputs(to_desc, first, count), to.get_engine(), to.get_data_handle()});
  });
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
using cpu::is_tiled;
using cpu::is_tuned;
using cpu::matrix;
using dnnl::memory;
using tag = dnnl::memory::format_tag;

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

}  // namespace

template <class Primitive>
CpuDevice::Products::Made<Primitive>::Made(const typename Primitive::primitive_desc& made_from) : pd(made_from) {
  const cpu::Alone alone;
  run = Primitive(pd);
}

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
        describe_conv({64, 64, s.in, s.out, s.kernel, 1, s.kernel / 2, s.kernel / 2, dtype, false}).weights_desc());
  });
}

const CpuDevice::Products::Matmul& CpuDevice::Products::linear(const LinearKey& key) {
  return remember(linears_, key, [&] {
    const auto x = matrix(key.m, key.k, key.x, key.k);
    const auto out = matrix(key.m, key.n, key.out, key.n);
    const memory::desc bias({1, key.n}, memory::data_type::f32, tag::ab);
    const memory::desc& packed = packed_linear(key.k, key.of, key.x);
    const memory::desc weights = key.n == key.of ? packed : packed.submemory_desc({key.k, key.n}, {0, 0});
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

dnnl::convolution_forward::primitive_desc CpuDevice::Products::describe_conv(const ConvKey& key) {
  // Stride 2 pads right and bottom only.
  const int64_t left = key.stride == 2 ? 0 : key.kernel / 2, right = key.stride == 2 ? key.kernel - 2 : key.kernel / 2;
  const int64_t height = (key.top + key.height + key.bottom - key.kernel) / key.stride + 1, width = key.width / key.stride;
  const memory::desc x({1, key.in, key.height, key.width}, dnnl_type(key.dtype), tag::nhwc);
  const memory::desc out({1, key.out, height, width}, dnnl_type(key.dtype), tag::nhwc);
  const memory::desc weights({key.out, key.in, key.kernel, key.kernel}, dnnl_type(key.dtype), tag::any);
  const memory::desc bias({key.out}, memory::data_type::f32, tag::a);
  const memory::dims strides{key.stride, key.stride}, before{key.top, left}, behind{key.bottom, right};
  return cpu::describe<dnnl::convolution_forward>(engine, attributes(Activation::none, key.accumulate),
                                                  dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, x,
                                                  weights, bias, out, strides, before, behind);
}

const CpuDevice::Products::Convolution& CpuDevice::Products::conv(const ConvKey& key) {
  return remember(convs_, key, [&] { return Convolution(describe_conv(key)); });
}

std::string CpuDevice::description() const {
  return std::to_string(team_->size()) + (team_->size() == 1 ? " thread, " : " threads, ") + cpu::row_kernels().name +
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
      shape.kernel == 1 ? products_->packed_linear(shape.in, shape.out, dtype) : products_->packed_conv(shape, dtype);
  return static_cast<int64_t>(packed.get_size());
}

Weight CpuDevice::pack(const WeightShape& shape, WeightFormat format, const ReadRows& read, void* destination) const {
  const DType dtype = element_of(format);
  if (!is_tuned(dtype)) return ReferenceDevice::pack(shape, format, read, destination);
  if (is_tiled(shape, format)) return pack_for_amx(shape, read, destination);
  const bool is_linear = shape.kernel == 1;
  const auto& packed = is_linear ? products_->packed_linear(shape.in, shape.out, dtype) : products_->packed_conv(shape, dtype);
  const auto plain = is_linear ? matrix(shape.in, shape.out, dtype, 1, shape.in)
                               : memory::desc({shape.out, shape.in, shape.kernel, shape.kernel}, dnnl_type(dtype), tag::oihw);
  const int64_t row_bytes = shape.row() * size_of(dtype);
  const auto read_rows = [&](int64_t first, int64_t last, void* rows) {
    team_->run_ranges(last - first, [&](int64_t begin, int64_t end) {
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
  if (piece < shape.out && !cpu::outputs(packed, 0, piece)) piece = shape.out;
  const Buffer staging = host_buffer(piece * row_bytes);
  for (int64_t begin = 0; begin < shape.out; begin += piece) {
    const int64_t count = std::min(piece, shape.out - begin);
    read_rows(begin, begin + count, staging.data());
    const memory from(count == shape.out ? plain : matrix(shape.in, count, dtype, 1, shape.in), products_->engine,
                      staging.data());
    const memory to(count == shape.out ? packed : cpu::outputs(packed, begin, count), products_->engine, destination);
    cpu::reorder_weights(*team_, from, to);
  }
  return {destination, format, shape};
}

}  // namespace fude
