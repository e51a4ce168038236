// GEMM, out = A·Bᵀ, on tensor cores: what linears and implicit-GEMM convolutions run on, from sm_75 on.
//
// A block owns a tile of kM×kN accumulators and loops over k-tiles of kK: cp.async runs kStages − 1 k-tiles ahead into a ring
// of shared memory; a warp loads its fragments with ldmatrix, double buffered, and keeps its accumulators in registers. The
// 16-byte chunks of a row are XOR-swizzled so that eight neighbouring rows fill all 32 banks. Limit: the tensor cores, if the
// tile is large enough for the L2.
#pragma once

#include "cuda/ceil_div.h"
#include "cuda/gemm_epilogue.cuh"
#include "cuda/gemm_operands.cuh"
#include "cuda/gemm_params.h"
#include "cuda/mma.cuh"

namespace fude::cuda {

// Element offset of a chunk in a tile with kChunks chunks a row.
template <int kChunks>
__device__ inline int swizzled(int row, int chunk) {
  return (row * kChunks + (chunk ^ (kChunks == 8 ? row & 7 : row >> 1 & 3))) * 8;
}

// The order of tiles: groups of about 2048 rows by all columns, so that blocks that run together share rows and columns in L2.
template <class Tile>
__device__ void tile_position(int index, int tiles_m, int tiles_n, int* m, int* n) {
  constexpr int kGroup = 2048 / Tile::kM;
  const int group = index / (kGroup * tiles_n), within = index - group * kGroup * tiles_n;
  const int height = min(kGroup, tiles_m - group * kGroup);
  *m = group * kGroup + within % height;
  *n = within / height;
}

template <class T, class Tile>
struct WarpAccumulators {
  static constexpr int kTilesM = Tile::kWarpM / 16, kTilesN = Tile::kWarpN / 8;
  float acc[kTilesM][kTilesN][4] = {};
  uint32_t a[2][kTilesM][4], b[2][kTilesN / 2][4];  // fragments of k16 steps, double buffered

  // a_at, b_at: element offsets of this lane's chunks at k = 0.
  __device__ void load(int which, const T* stage, int a_at, int b_at, int k) {
#pragma unroll
    for (int i = 0; i < kTilesM; ++i) ldmatrix_x4(a[which][i], stage + i * 16 * Tile::kK + (a_at ^ k));
#pragma unroll
    for (int j = 0; j < kTilesN / 2; ++j) ldmatrix_x4(b[which][j], stage + j * 16 * Tile::kK + (b_at ^ k));
  }
  __device__ void multiply(int which) {
#pragma unroll
    for (int i = 0; i < kTilesM; ++i)
#pragma unroll
      for (int j = 0; j < kTilesN; ++j)
        mma_16x8x16<T>(acc[i][j], a[which][i], b[which][j / 2][j % 2 * 2], b[which][j / 2][j % 2 * 2 + 1]);
  }

  // Applies the epilogue to eight neighbouring columns at a time: the accumulators pass through this warp's shared memory, 16
  // rows after 16.
  __device__ void apply(const Epilogue& out, float* staging, int split, int m, int n) {
    constexpr int kLanes = Tile::kWarpN / 8, kPitch = Tile::kStagingColumns;
    const int lane = threadIdx.x % 32;
#pragma unroll 1  // the epilogue's code is long enough once
    for (int i = 0; i < kTilesM; ++i) {
#pragma unroll
      for (int t = 0; t < kTilesM; ++t)
        if (t == i) put(staging, acc[t]);
      __syncwarp();
#pragma unroll 1
      for (int row = lane / kLanes; row < 16; row += 32 / kLanes) {
        const int column = lane % kLanes * 8;
        float v[8];
        load_elements(staging + row * kPitch + column, 8, true, v);
        cuda::apply<T, kLanes>(out, split, m + i * 16 + row, n + column, v);
      }
      __syncwarp();
    }
  }

 private:
  __device__ static void put(float* staging, const float (&row)[kTilesN][4]) {
    constexpr int kPitch = Tile::kStagingColumns;
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int j = 0; j < kTilesN; ++j) {
      float* to = staging + lane / 4 * kPitch + j * 8 + lane % 4 * 2;
      *reinterpret_cast<float2*>(to) = make_float2(row[j][0], row[j][1]);
      *reinterpret_cast<float2*>(to + 8 * kPitch) = make_float2(row[j][2], row[j][3]);
    }
  }
};

template <class T, class Tile, class Left>
__device__ __forceinline__ void run(const GemmKernel<T, Tile, Left>& problems) {
  using A = typename LoaderOf<Left, Tile::kRowsA>::Type;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
  constexpr int kStages = kSynchronousStages;
#else
  constexpr int kStages = Tile::kStages;
#endif
  extern __shared__ __align__(128) unsigned char memory[];
  T* const ring = reinterpret_cast<T*>(memory);
  const int thread = threadIdx.x, lane = thread % 32, warp_m = thread / 32 % Tile::kWarpsM,
            warp_n = thread / 32 / Tile::kWarpsM;

  int which = 0;
  while (blockIdx.x >= problems.end[which]) ++which;
  const Problem<T, Left>& problem = problems.list[which];
  const Epilogue& out = problem.out;
  const int tiles_m = ceil_div(out.rows, Tile::kM);
  const int tiles_n = ceil_div(out.columns, Tile::kN);
  const int block = blockIdx.x - (which > 0 ? problems.end[which - 1] : 0), split = block / (tiles_m * tiles_n);
  int tile_m, tile_n;
  tile_position<Tile>(block - split * tiles_m * tiles_n, tiles_m, tiles_n, &tile_m, &tile_n);
  const int all_k_tiles = ceil_div(problem.b.k, Tile::kK);
  const int first_k_tile = split * all_k_tiles / problem.splits;
  const int k_tiles = (split + 1) * all_k_tiles / problem.splits - first_k_tile;

  const int row = thread / Tile::kChunks, chunk = thread % Tile::kChunks, first_k = first_k_tile * Tile::kK + chunk * 8;
  A from_a(problem.a, tile_m * Tile::kM + row, Tile::kCopyRows, first_k);
  MatrixRows<T, Tile::kRowsB> from_b(problem.b, tile_n * Tile::kN + row, Tile::kCopyRows, first_k);
  T* const load_to = ring + swizzled<Tile::kChunks>(row, chunk);
  int loaded = 0, free_stage = 0;
  auto prefetch = [&] {
    if (loaded++ < k_tiles) {
      T* const to = load_to + free_stage * Tile::kStageElements;
#pragma unroll
      for (int i = 0; i < Tile::kRowsA; ++i)
        cp_async_16(to + i * Tile::kCopyRows * Tile::kK, from_a.address(i), from_a.valid(i));
#pragma unroll
      for (int i = 0; i < Tile::kRowsB; ++i)
        cp_async_16(to + (Tile::kM + i * Tile::kCopyRows) * Tile::kK, from_b.address(i), from_b.valid(i));
      from_a.advance(Tile::kK);
      from_b.advance(Tile::kK);
      free_stage = free_stage + 1 == kStages ? 0 : free_stage + 1;
    }
    cp_async_commit();
  };

  const int a_at = swizzled<Tile::kChunks>(warp_m * Tile::kWarpM + lane % 16, lane / 16);
  const int b_at =
      Tile::kM * Tile::kK + swizzled<Tile::kChunks>(warp_n * Tile::kWarpN + lane % 8 + lane / 16 * 8, lane / 8 % 2);
#pragma unroll
  for (int i = 0; i < kStages - 1; ++i) prefetch();
  cp_async_wait<kStages - 2>();
  __syncthreads();

  WarpAccumulators<T, Tile> acc;
  acc.load(0, ring, a_at, b_at, 0);
  int stage = 0;
  for (int k_tile = 0; k_tile < k_tiles; ++k_tile) {
#pragma unroll
    for (int k = 0; k < Tile::kK; k += 16) {
      const int current = k / 16 % 2;
      if (k + 16 == Tile::kK) {  // this stage is in registers and free: wait for the next one
        stage = stage + 1 == kStages ? 0 : stage + 1;
        cp_async_wait<kStages - 2>();
        __syncthreads();
      }
      acc.load(current ^ 1, ring + stage * Tile::kStageElements, a_at, b_at, (k + 16) % Tile::kK);
      if (k == 0) prefetch();
      acc.multiply(current);
    }
  }

  cp_async_wait<0>();
  __syncthreads();
  float* const staging = reinterpret_cast<float*>(memory) + thread / 32 * 16 * Tile::kStagingColumns;
  acc.apply(out, staging, split, tile_m * Tile::kM + warp_m * Tile::kWarpM, tile_n * Tile::kN + warp_n * Tile::kWarpN);
}

}  // namespace fude::cuda
