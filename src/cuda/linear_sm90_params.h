// Hopper's kernels of linears: their parameters and their list.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cuda/elements.h"
#include "cuda/hopper_sizes.h"
#include "cuda/linear_sm90.h"
#include "cuda/tensor_map.h"

namespace fude::cuda {

// One GEMM as the kernel sees it. Rows of x are tiled batch item by batch item.
struct Gemm {
  CUtensorMap x;       // [batches, rows, K], boxes of a tile's rows
  CUtensorMap weight;  // [columns, K], boxes of a block's share of a tile's columns
  void* out;
  const float *bias, *gate;
  int64_t batch_stride, row_stride, gate_stride;
  int rows, columns, batches;
  int k_tiles;
  int row_tiles;     // of one batch item
  int cluster_rows;  // row tiles of all batch items, counted in clusters
  int column_tiles;
  int end;         // one past its last tile in the list of all GEMMs' tiles
  bool activated;  // y·sigmoid(−(linear·y + cubic·y³)/log2 e)
  float linear, cubic;
  bool wide, accumulate;  // out is f32; out += instead of out =
  const float* norms[2];  // QK-norm weights: of the heads in the first and the second third of the columns, or none
  int third;              // of the columns
  float eps;
};
struct GroupedGemm {
  Gemm gemms[kMaxLinearGroup];
  int tiles;  // counted in clusters
};

// The shape of a block's tile, and how its consumers share the tiles.
template <int rows_of_warpgroup, int columns_, bool ping_pong_, int cluster_>
struct LinearTiling {
  // Ping-pong: the consumers alternate in tiles. Otherwise cooperative: each computes half of every tile's rows.
  static constexpr bool ping_pong = ping_pong_;
  static constexpr int cluster = cluster_;
  static constexpr int atoms = rows_of_warpgroup / 64;  // wgmmas of 64 rows that cover a consumer's rows
  static_assert(atoms * 64 == rows_of_warpgroup);
  static constexpr int rows = rows_of_warpgroup * (ping_pong ? 1 : kHopperConsumers);
  static constexpr int columns = columns_;
  static constexpr int x_bytes = rows * kKTile * 2;
  static constexpr int weight_bytes = columns * kKTile * 2;
  static constexpr int stages = std::min(8, (kHopperSharedBytes - 1024) / (x_bytes + weight_bytes));
};

// In shared memory; its mbarriers tell when a stage is full, and when it may be filled again.
template <class Tiling>
struct LinearRing {
  char x[Tiling::stages][Tiling::x_bytes];
  char weight[Tiling::stages][Tiling::weight_bytes];
  uint64_t full[Tiling::stages], empty[Tiling::stages];
};

using PingPong = LinearTiling<128, 192, true, 2>;

template <class T, class Tiling>
struct LinearSm90Kernel {
  static constexpr int kThreads = kHopperThreads, kBlocks = 1;
  GroupedGemm group;
};

#define FUDE_LINEAR_SM90_KERNELS(KERNEL)                    \
  KERNEL(linear_sm90_f16, LinearSm90Kernel<Half, PingPong>) \
  KERNEL(linear_sm90_bf16, LinearSm90Kernel<BFloat16, PingPong>)

}  // namespace fude::cuda
