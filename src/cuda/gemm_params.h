// The GEMM kernels, of linears and of convolutions as implicit GEMMs: operands, epilogue, tiles, and their lists.
#pragma once

#include <cstdint>

#include "core/activation.h"
#include "cuda/elements.h"
#include "cuda/kernels.h"

namespace fude::cuda {

// ---- operands and epilogue -------------------------------------------------------------------------------------------------

template <class T>
struct MatrixOperand {
  const T* data;
  int64_t batch_stride, row_stride;  // in elements, multiples of 16 bytes
  int rows, batch_rows, k;           // rows of all batches, of one batch
};

template <class T>
struct ConvOperand {
  const T* data;                             // [n, height, width, channels]
  int height, width, channels;               // channels a multiple of 16 bytes
  int rows, out_top, out_height, out_width;  // rows: output pixels of all images; of each, out_height rows from out_top on
  int kernel, stride, above, left;           // kernel: 2 or 3; above, left: padding
};

// The output, its rows counted through all batches, and what is fused into the GEMM on the way there.
struct Epilogue {
  void* data;
  const float *bias, *gate;
  int64_t batch_stride, row_stride, gate_stride;
  int64_t split_stride;                // between the partial sums of split-K
  int rows, batch_rows, columns;       // rows of all batches, of one batch
  const float *norm_query, *norm_key;  // QK-norm's weights, or none: of the first and the second third of the columns
  float norm_eps;
  Activation activation;
  bool f32, accumulate;  // f32: the output's type, whatever the operands are
  bool vectors;          // every row, the bias and the gates begin at 16-byte boundaries
};

// ---- on tensor cores -------------------------------------------------------------------------------------------------------

// Before sm_80 there is no cp.async, and more stages are of no use.
constexpr int kSynchronousStages = 2;

template <int kM_, int kN_, int kK_, int kWarpsM_, int kWarpsN_, int kStages_, int kBlocks_ = 1>
struct GemmTile {
  static constexpr int kM = kM_, kN = kN_, kK = kK_;
  static constexpr int kWarpsM = kWarpsM_, kWarpsN = kWarpsN_, kStages = kStages_;
  static constexpr int kBlocks = kBlocks_;  // minimum occupancy: blocks of one multiprocessor
  static constexpr int kThreads = 32 * kWarpsM * kWarpsN;
  static constexpr int kWarpM = kM / kWarpsM, kWarpN = kN / kWarpsN;
  static constexpr int kChunks = kK / 8;                // 16-byte chunks in a row of a k-tile
  static constexpr int kCopyRows = kThreads / kChunks;  // rows that one cp.async of all threads covers
  static constexpr int kRowsA = kM / kCopyRows, kRowsB = kN / kCopyRows;
  static constexpr int kStageElements = (kM + kN) * kK;
  static constexpr int kStagingColumns = kWarpN + 8;  // 8: so that rows start in different banks

  static constexpr int shared_bytes(int capability) {
    return (capability >= 80 ? kStages : kSynchronousStages) * kStageElements * 2;
  }

  static_assert(kK == 32 || kK == 64);
  static_assert(kCopyRows % 8 == 0 && kM % kCopyRows == 0 && kN % kCopyRows == 0 && kWarpM % 16 == 0 && kWarpN % 16 == 0);
  static_assert(kThreads / 32 * 16 * kStagingColumns * 4 <= 2 * kStageElements * 2,
                "the accumulators pass through shared memory");
  static_assert(shared_bytes(80) <= 99 * 1024 && shared_bytes(75) <= 64 * 1024);
};

using WideTile = GemmTile<128, 256, 32, 2, 4, 4>;
using SquareTile = GemmTile<128, 128, 32, 2, 2, 4, 2>;
using FlatTile = GemmTile<64, 128, 64, 2, 2, 4, 2>;
using SmallTile = GemmTile<64, 64, 64, 2, 2, 6, 2>;
using NarrowTile = GemmTile<128, 16, 64, 4, 1, 4, 2>;

constexpr int kMaxProblems = 4;

// One GEMM, out = a·bᵀ; split-K into `splits` where its tiles alone would leave multiprocessors idle.
template <class T, class Left>
struct Problem {
  Left a;
  MatrixOperand<T> b;
  Epilogue out;
  int splits = 1;
};

// A grouped GEMM: several problems in one launch, block after block.
template <class T, class Tile, class Left>
struct GemmKernel {
  static constexpr int kThreads = Tile::kThreads, kBlocks = Tile::kBlocks;
  Problem<T, Left> list[kMaxProblems];
  int end[kMaxProblems];  // one past the last block of each
};

// Split-K's second kernel adds up the partial sums; eight columns a thread.
template <class T>
struct ReduceSplitsKernel {
  static constexpr int kThreads = 128, kBlocks = 0;
  const float* partial;
  int splits;
  Epilogue out;
};

// ---- without tensor cores --------------------------------------------------------------------------------------------------

constexpr int kSimtTile = 128, kSimtK = 16, kSimtThreads = 256;
constexpr int kSimtCopyRows = kSimtThreads / (kSimtK / 4);  // rows that one load of all threads covers
constexpr int kSimtRows = kSimtTile / kSimtCopyRows;        // of a thread in a k-tile

// `any`: operands of any stride and alignment; else both are read 16 bytes at a time.
template <class T, class Left, bool any>
struct SimtGemmKernel {
  static constexpr int kThreads = kSimtThreads, kBlocks = 0;
  Left a;
  MatrixOperand<T> b;
  Epilogue out;
};

// ---- lists -----------------------------------------------------------------------------------------------------------------

#define FUDE_GEMM_KERNELS(KERNEL, name, T, Left)            \
  KERNEL(name##_wide, GemmKernel<T, WideTile, Left<T>>)     \
  KERNEL(name##_square, GemmKernel<T, SquareTile, Left<T>>) \
  KERNEL(name##_flat, GemmKernel<T, FlatTile, Left<T>>)     \
  KERNEL(name##_small, GemmKernel<T, SmallTile, Left<T>>)   \
  KERNEL(name##_narrow, GemmKernel<T, NarrowTile, Left<T>>)

#define FUDE_LINEAR_MMA_KERNELS(KERNEL)                           \
  FUDE_GEMM_KERNELS(KERNEL, linear_f16, Half, MatrixOperand)      \
  FUDE_GEMM_KERNELS(KERNEL, linear_bf16, BFloat16, MatrixOperand) \
  KERNEL(reduce_splits_f16, ReduceSplitsKernel<Half>)             \
  KERNEL(reduce_splits_bf16, ReduceSplitsKernel<BFloat16>)

#define FUDE_LINEAR_KERNELS(KERNEL)                                         \
  KERNEL(linear_f32, SimtGemmKernel<float, MatrixOperand<float>, false>)    \
  KERNEL(linear_any_f32, SimtGemmKernel<float, MatrixOperand<float>, true>) \
  KERNEL(linear_any_f16, SimtGemmKernel<Half, MatrixOperand<Half>, true>)   \
  KERNEL(linear_any_bf16, SimtGemmKernel<BFloat16, MatrixOperand<BFloat16>, true>)

}  // namespace fude::cuda
