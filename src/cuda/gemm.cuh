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
#include "cuda/kernels.h"
#include "cuda/mma.cuh"

namespace fude::cuda {

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

// Element offset of a chunk in a tile with kChunks chunks a row.
template <int kChunks>
__device__ inline int swizzled(int row, int chunk) {
  return (row * kChunks + (chunk ^ (kChunks == 8 ? row & 7 : row >> 1 & 3))) * 8;
}

// One GEMM, out = a·bᵀ; split-K into `splits` where its tiles alone would leave multiprocessors idle.
template <class T, class Left>
struct Problem {
  Left a;
  MatrixOperand<T> b;
  Epilogue out;
  int splits = 1;
};

// A grouped GEMM: several problems in one launch, block after block.
template <class T, class Left, int kMaxProblems>
struct Problems {
  Problem<T, Left> list[kMaxProblems];
  int end[kMaxProblems];  // one past the last block of each
};

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
        out.apply<T, kLanes>(split, m + i * 16 + row, n + column, v);
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

template <class T, class Tile, class A, int kMaxProblems>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    gemm_kernel(const __grid_constant__ Problems<T, typename A::Params, kMaxProblems> problems) {
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
  while (kMaxProblems > 1 && blockIdx.x >= problems.end[which]) ++which;
  const Problem<T, typename A::Params>& problem = problems.list[which];
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

template <class T, class Tile, class A, int kMaxProblems>
void gemm(const Card& card, cudaStream_t stream, const Problem<T, typename A::Params>* list, int count) {
  Problems<T, typename A::Params, kMaxProblems> problems{};
  int blocks = 0;
  for (int i = 0; i < count; ++i) {
    const Epilogue& out = list[i].out;
    blocks += ceil_div(out.rows, Tile::kM) * ceil_div(out.columns, Tile::kN) * list[i].splits;
    problems.list[i] = list[i];
    problems.end[i] = blocks;
  }
  const int shared = Tile::shared_bytes(card.capability);
  const auto kernel = gemm_kernel<T, Tile, A, kMaxProblems>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared), "preparing a matrix product");
  kernel<<<blocks, Tile::kThreads, shared, stream>>>(problems);
  check(cudaGetLastError(), "starting a matrix product");
}

}  // namespace fude::cuda
