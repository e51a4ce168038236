// What the kernel files offer the CUDA device. Everything is launched on a stream and returns at once; a launch that fails is
// Error{device}. Which kernel runs is a pure function of the arguments and the GPU.
#pragma once

#include <cstdint>
#include <string>

#include "core/activation.h"
#include "core/dtype.h"
#include "core/weight.h"

namespace fude::cuda {

using CUstream = struct CUstream_st*;  // as driver.h has it

// The properties of a GPU that the choice of a kernel may depend on.
struct Card {
  int capability = 0;  // that the running code was compiled for: 75, 80, 86, 89, 90 (with wgmma), 120 …
  int multiprocessors = 0;
  int shared_bytes = 0;      // of one block, opted in
  int resident_threads = 0;  // of one multiprocessor
};

// Rows of a batch: element (b, r, c) is at data[b·batch_stride + r·row_stride + c].
struct Matrix {
  void* data = nullptr;
  DType dtype = DType::f32;
  int64_t batches = 1, rows = 0, columns = 0;
  int64_t batch_stride = 0, row_stride = 0;  // in elements
};

// ---- linear.cu -------------------------------------------------------------------------------------------------------------

// The head width of the transformers, which the epilogue's head norms and the flash-attention kernels are written for.
inline constexpr int kHeadDim = 64;

// QK-norm in the epilogue of a fused QKV projection: the first third of the output's columns (queries) is RMS-normalised in
// heads of head_dim columns with one weight, the second third (keys) with another; the values stay. After the bias, before
// rounding.
struct HeadNormArgs {
  const float *query = nullptr, *key = nullptr;  // [head_dim] each, or none
  int64_t head_dim = kHeadDim;
  float eps = 0;
};

// y = activation(x·Wᵀ + bias), then out = y, out += y, or out += gate·y.
// x f32, f16 or bf16; W of x's dtype, [out.columns, x.columns] row by row; out of x's dtype or f32; f32 accumulators.
struct LinearArgs {
  Matrix out, x;
  const void* weight = nullptr;
  const float* bias = nullptr;  // [out.columns] or none
  const float* gate = nullptr;  // [batches, out.columns] or none; implies accumulate
  int64_t gate_stride = 0;
  Activation activation = Activation::none;
  bool accumulate = false;
  HeadNormArgs norms;  // only where linear_norms_heads says so
};
int64_t linear_workspace(const Card& card, const LinearArgs& args);
void linear(const Card& card, CUstream stream, const LinearArgs& args, void* workspace);

// Whether linear() can do these args' head norms itself.
bool linear_norms_heads(const Card& card, const LinearArgs& args);

// Independent linears, as one grouped GEMM where a kernel can; none reads or writes what another one writes.
int64_t linears_workspace(const Card& card, const LinearArgs* args, int count);
void linears(const Card& card, CUstream stream, const LinearArgs* args, int count, void* workspace);

// ---- conv.cu ---------------------------------------------------------------------------------------------------------------

// NHWC convolution with 3×3 taps, padding 1; stride 2 pads right and bottom only; if shape.upsample, x is upsampled ×2
// (nearest) on the fly. out = y + bias, or out += y + bias.
struct ConvArgs {
  void* out = nullptr;       // [n, end − begin, width of the output, out]
  const void* x = nullptr;   // [n, height, width, in]
  DType dtype = DType::f32;  // of x, weight and out
  int64_t n = 0, height = 0, width = 0;
  WeightShape shape;
  const void* weight = nullptr;  // as packed by pack_conv
  const float* bias = nullptr;
  int64_t stride = 1;
  int64_t begin = 0, end = 0;  // the rows of the output to compute: a strip
  bool accumulate = false;
};
int64_t conv_packed_elements(const WeightShape& shape);
// Host memory to host memory: [out, in, 3, 3] f32 rows -> the packed order, f32; converted and copied by the caller.
void pack_conv(const WeightShape& shape, const float* weight, float* packed);
int64_t conv_workspace(const Card& card, const ConvArgs& args);
void conv2d(const Card& card, CUstream stream, const ConvArgs& args, void* workspace);

// ---- attention.cu ----------------------------------------------------------------------------------------------------------

// out = softmax(scale·q·kᵀ + bias)·v per head. Heads are neighbouring ranges of head_dim columns.
struct AttentionArgs {
  Matrix out, q, k, v;  // one dtype
  int64_t heads = 1, head_dim = kHeadDim;
  float scale = 1;
  bool causal = false;          // query i sees keys 0..i
  const float* bias = nullptr;  // f32 [heads, queries, keys] or none; its strides in elements, of any sign:
  int64_t bias_head_stride = 0, bias_query_stride = 0;
};
int64_t attention_workspace(const Card& card, const AttentionArgs& args);
void attention(const Card& card, CUstream stream, const AttentionArgs& args, void* workspace);

}  // namespace fude::cuda
