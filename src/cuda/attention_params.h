// The attention kernels: their parameters, the shapes of their tiles, and their lists.
#pragma once

#include <cstdint>

#include "cuda/elements.h"
#include "cuda/kernels.h"
#include "cuda/tensor_map.h"

namespace fude::cuda {

constexpr float kLog2E = 1.4426950408889634f;

template <class T>
struct AttentionRows {
  T* data;
  int64_t batch_stride, row_stride;

  explicit AttentionRows(const Matrix& m)
      : data(static_cast<T*>(m.data)), batch_stride(m.batch_stride), row_stride(m.row_stride) {}
  constexpr T* at(int64_t batch, int64_t row, int64_t column) const {
    return data + batch * batch_stride + row * row_stride + column;
  }
};

template <class T>
struct AttentionCall {
  AttentionRows<T> out, q, k, v;
  int queries, keys, heads, head_dim;
  float scale;
  bool causal;
  const float* bias;
  int64_t bias_head_stride, bias_query_stride;

  explicit AttentionCall(const AttentionArgs& args)
      : out(args.out),
        q(args.q),
        k(args.k),
        v(args.v),
        queries(static_cast<int>(args.q.rows)),
        keys(static_cast<int>(args.k.rows)),
        heads(static_cast<int>(args.heads)),
        head_dim(static_cast<int>(args.head_dim)),
        scale(args.scale),
        causal(args.causal),
        bias(args.bias),
        bias_head_stride(args.bias_head_stride),
        bias_query_stride(args.bias_query_stride) {}
};

// Tiles lie in shared memory as rows of 64 16-bit elements.
constexpr int kTileColumns = 64;

// ---- attention.cu ----------------------------------------------------------------------------------------------------------

constexpr int kSimtAttentionTile = 64;  // queries, keys and output columns of a block
constexpr int kSimtAttentionSide = 16;  // threads along each side of a tile

template <class T>
struct AttentionSimtKernel {
  static constexpr int kThreads = kSimtAttentionSide * kSimtAttentionSide, kBlocks = 0;
  AttentionCall<T> call;
};

#define FUDE_ATTENTION_KERNELS(KERNEL)                  \
  KERNEL(attention_any_f32, AttentionSimtKernel<float>) \
  KERNEL(attention_any_f16, AttentionSimtKernel<Half>)  \
  KERNEL(attention_any_bf16, AttentionSimtKernel<BFloat16>)

// ---- attention_mma.cu ------------------------------------------------------------------------------------------------------

template <int kRowTiles_, int kWarps_, int kKeys_, int kStages_, int kBlocks_>
struct MmaShape {
  static constexpr int kRowTiles = kRowTiles_, kWarps = kWarps_, kKeys = kKeys_, kStages = kStages_, kBlocks = kBlocks_;
  static constexpr int kThreads = kWarps * 32, kRows = kWarps * kRowTiles * 16;
  static constexpr int kStageElements = 2 * kKeys * kTileColumns;  // of one key tile and its value tile
  static constexpr int kQueryTile = kRows * kTileColumns;
  // The queries share the stage that is filled last: they are in registers by then.
  static constexpr int kSharedBytes =
      2 * ((kStages - 1) * kStageElements + (kStageElements > kQueryTile ? kStageElements : kQueryTile));
};

using LargeMma = MmaShape<2, 4, 64, 2, 2>;
using SmallMma = MmaShape<1, 4, 64, 2, 2>;  // text encoders: few rows, and registers left for the bias

template <class T, class Shape, bool kCausal, bool kBias>
struct AttentionMmaKernel {
  static constexpr int kThreads = Shape::kThreads, kBlocks = Shape::kBlocks;
  AttentionCall<T> call;
};

#define FUDE_ATTENTION_MMA_KERNELS_OF(KERNEL, T, type)                              \
  KERNEL(attention_mma_##type, AttentionMmaKernel<T, LargeMma, false, false>)       \
  KERNEL(attention_mma_bias_##type, AttentionMmaKernel<T, SmallMma, false, true>)   \
  KERNEL(attention_mma_causal_##type, AttentionMmaKernel<T, SmallMma, true, false>) \
  KERNEL(attention_mma_causal_bias_##type, AttentionMmaKernel<T, SmallMma, true, true>)
#define FUDE_ATTENTION_MMA_KERNELS(KERNEL)         \
  FUDE_ATTENTION_MMA_KERNELS_OF(KERNEL, Half, f16) \
  FUDE_ATTENTION_MMA_KERNELS_OF(KERNEL, BFloat16, bf16)

// ---- attention_wide.cu -----------------------------------------------------------------------------------------------------

constexpr int kWideHead = 512, kWideKeys = 64;
constexpr int kWideWarpRows = 2, kWideWarpColumns = 4;

template <int kRowTiles_, int kStages_>
struct WideShape {
  static constexpr int kRowTiles = kRowTiles_, kStages = kStages_;  // row tiles of 16 queries per warp
  static constexpr int kRows = kWideWarpRows * kRowTiles * 16;
  static constexpr int kChunk = kWideKeys * kTileColumns;
  static constexpr int kSharedBytes =
      2 * (kRows * kWideHead + kStages * kChunk + kRows * kWideKeys) + 4 * kWideWarpColumns * kRows;
};

using DeepWide = WideShape<2, 4>;   // 105 KiB of shared memory; a tenth faster
using TallWide = WideShape<2, 3>;   // 97 KiB: sm_86, sm_89, sm_120
using ShortWide = WideShape<1, 3>;  // 61 KiB: sm_75

template <class T, class Shape>
struct AttentionWideKernel {
  static constexpr int kThreads = kWideWarpRows * kWideWarpColumns * 32, kBlocks = 1;
  AttentionCall<T> call;
};

#define FUDE_ATTENTION_WIDE_KERNELS_OF(KERNEL, T, type)                \
  KERNEL(attention_wide_deep_##type, AttentionWideKernel<T, DeepWide>) \
  KERNEL(attention_wide_tall_##type, AttentionWideKernel<T, TallWide>) \
  KERNEL(attention_wide_short_##type, AttentionWideKernel<T, ShortWide>)
#define FUDE_ATTENTION_WIDE_KERNELS(KERNEL)         \
  FUDE_ATTENTION_WIDE_KERNELS_OF(KERNEL, Half, f16) \
  FUDE_ATTENTION_WIDE_KERNELS_OF(KERNEL, BFloat16, bf16)

// ---- attention_sm90.cu -----------------------------------------------------------------------------------------------------

template <int kWarpgroups>
struct HopperShape {
  static constexpr int kConsumers = kWarpgroups, kRows = kConsumers * 64, kThreads = (kConsumers + 1) * 128;
  static constexpr int kKeys = 128, kStages = 2;
  static constexpr int kTileBytes = kKeys * kTileColumns * 2, kQueryBytes = kRows * kTileColumns * 2;
};

// Its mbarriers tell when a tile is full, and when it may be filled again.
template <class Shape>
struct HopperShared {
  alignas(1024) unsigned char q[Shape::kQueryBytes];
  alignas(1024) unsigned char k[Shape::kStages][Shape::kTileBytes];
  alignas(1024) unsigned char v[Shape::kStages][Shape::kTileBytes];
  uint64_t q_full, q_empty, k_full[Shape::kStages], k_empty[Shape::kStages], v_full[Shape::kStages], v_empty[Shape::kStages];
};

struct HopperCall {
  int queries, keys, heads, tiles;  // tiles of queries over all heads and batches
  int query_tiles, key_tiles;       // per head
  float scale;                      // in base 2
};

template <class T, class Shape>
struct AttentionSm90Kernel {
  static constexpr int kThreads = Shape::kThreads, kBlocks = 1;
  CUtensorMap q, k, v;
  HopperCall call;
  AttentionRows<T> out;
};

#define FUDE_ATTENTION_SM90_KERNELS_OF(KERNEL, T, type)                   \
  KERNEL(attention_sm90_2_##type, AttentionSm90Kernel<T, HopperShape<2>>) \
  KERNEL(attention_sm90_3_##type, AttentionSm90Kernel<T, HopperShape<3>>)
#define FUDE_ATTENTION_SM90_KERNELS(KERNEL)         \
  FUDE_ATTENTION_SM90_KERNELS_OF(KERNEL, Half, f16) \
  FUDE_ATTENTION_SM90_KERNELS_OF(KERNEL, BFloat16, bf16)

}  // namespace fude::cuda
