// oneDNN's part of the CPU device: its engine, and a cache of primitives by shape. Each primitive computes a piece of an
// operation on one thread; the device's team takes the pieces.
#pragma once

#include <dnnl.hpp>
#include <map>
#include <string>
#include <tuple>

#include "cpu/cpu_device.h"

namespace fude {

namespace cpu {
// Whether this processor has an instruction set.
bool has(dnnl::cpu_isa wanted);
// Whether bf16 GEMMs are faster than f32 ones on this processor.
bool multiplies_bf16();
bool is_tuned(DType t);
// The AMX GEMM takes linears, and 1×1 convolutions, which are linears.
bool is_tiled(const WeightShape& shape, WeightFormat format);
dnnl::memory::data_type dnnl_type(DType t);
dnnl::memory::desc matrix(int64_t rows, int64_t columns, DType dtype, int64_t row_stride, int64_t column_stride = 1);
// Some outputs of a weight, or nothing where its layout does not allow them to be parted from the others.
dnnl::memory::desc outputs(const dnnl::memory::desc& weights, int64_t first, int64_t count);
// Layouts block columns by so many, or by what divides it.
constexpr int64_t kColumnBlock = 64;
// Weights in another layout, which the team writes together.
void reorder_weights(ThreadTeam& team, const dnnl::memory& from, const dnnl::memory& to);
// Each part of a workspace begins at a multiple of 64 bytes.
constexpr int64_t round_up(int64_t n) { return (n + 63) / 64 * 64; }
inline int64_t bytes_of(const dnnl::memory::desc& desc) { return round_up(static_cast<int64_t>(desc.get_size())); }
// Fewer operations than this on f32 are not worth a piece of their own: some 20 µs.
constexpr double kLeastPiece = 4e6;
}  // namespace cpu

struct CpuDevice::Products {
  // out[m, n] = activation(x[m, k]·W + b) (+ out). W is n columns of a weight that has `of`.
  struct LinearKey {
    int64_t m, n, k, of;
    DType x, out;
    bool bias, accumulate;
    Activation activation;
    auto operator<=>(const LinearKey&) const = default;
  };
  // out[m, n] = x[m, k]·w[k, n], both activations; w packed as packed_linear says.
  struct MatmulKey {
    int64_t m, n, k;
    DType x, out;
    auto operator<=>(const MatmulKey&) const = default;
  };
  struct ConvKey {
    int64_t height, width, in, out, kernel, stride;
    int64_t top, bottom;  // rows of padding
    DType dtype;
    bool accumulate;
    auto operator<=>(const ConvKey&) const = default;
  };

  // A primitive and its descriptor. Creating one costs as much as running a small one, so both are cached.
  template <class Primitive>
  struct Made {
    explicit Made(const typename Primitive::primitive_desc& made_from);
    typename Primitive::primitive_desc pd;
    Primitive run;
  };
  using Matmul = Made<dnnl::matmul>;
  using Convolution = Made<dnnl::convolution_forward>;

  dnnl::engine engine{dnnl::engine::kind::cpu, 0};

  const dnnl::memory::desc& packed_linear(int64_t in, int64_t out, DType dtype);
  const dnnl::memory::desc& packed_conv(const WeightShape& shape, DType dtype);
  const Matmul& linear(const LinearKey& key);
  const Matmul& matmul(const MatmulKey& key);
  const Convolution& conv(const ConvKey& key);

  // Scores (f32) and weighted values of `rows` queries of one head.
  struct AttentionTile {
    const Matmul& scores;
    const Matmul& values;
  };
  AttentionTile attention_tile(const AttentionCall& call, int64_t rows);
  struct AttentionPlan;
  struct LinearPlan;
  struct ConvPlan;

 private:
  dnnl::convolution_forward::primitive_desc describe_conv(const ConvKey& key);

  std::map<std::tuple<int64_t, int64_t, int64_t, DType>, dnnl::memory::desc> packed_;
  std::map<LinearKey, Matmul> linears_;
  std::map<MatmulKey, Matmul> matmuls_;
  std::map<ConvKey, Convolution> convs_;
};

}  // namespace fude
