// oneDNN's part of the CPU backend: its engine and stream, and a cache of primitives by shape.
#pragma once

#include <dnnl.hpp>
#include <map>
#include <tuple>

#include "cpu/cpu_backend.h"

namespace fude {

namespace cpu {
// Whether bf16 GEMMs are faster than f32 ones on this processor.
bool multiplies_bf16();
bool is_tuned(DType t);
dnnl::memory::data_type dnnl_type(DType t);
}  // namespace cpu

struct CpuBackend::Products {
  // out[m, n] = activation(x[m, k]·W + b) (+ out); ld: elements between rows.
  struct LinearKey {
    int64_t m, n, k;
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
    int64_t n, height, width, in, out, kernel, stride;
    int64_t top, bottom;  // rows of padding
    DType dtype;
    bool accumulate;
    auto operator<=>(const ConvKey&) const = default;
  };

  // A primitive and its descriptor. Creating one costs as much as running a small one, so both are cached.
  struct Matmul {
    explicit Matmul(const dnnl::matmul::primitive_desc& made_from) : pd(made_from), run(made_from) {}
    dnnl::matmul::primitive_desc pd;
    dnnl::matmul run;
  };

  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};

  const dnnl::memory::desc& packed_linear(int64_t in, int64_t out, DType dtype);
  const dnnl::memory::desc& packed_conv(const WeightShape& shape, DType dtype);
  const Matmul& linear(const LinearKey& key);
  const Matmul& linear(const LinearCall& call);
  const Matmul& matmul(const MatmulKey& key);
  const dnnl::convolution_forward::primitive_desc& conv(const ConvKey& key);

  // Scores (f32) and weighted values of `rows` queries of one head.
  struct AttentionTile {
    const Matmul& scores;
    const Matmul& values;
  };
  AttentionTile attention_tile(const AttentionCall& call, int64_t rows);
  struct AttentionPlan;
  struct Contiguous;
  struct ConvPlan;

 private:
  dnnl::convolution_forward::primitive_desc make_conv(const ConvKey& key);

  std::map<std::tuple<int64_t, int64_t, int64_t, DType>, dnnl::memory::desc> packed_;
  std::map<LinearKey, Matmul> linears_;
  std::map<MatmulKey, Matmul> matmuls_;
  std::map<ConvKey, dnnl::convolution_forward::primitive_desc> convs_;
};

}  // namespace fude
