// out = A·Bᵀ on tensor cores: the machinery of linears and convolutions for cards from sm_75 on.
//
// A block owns kM×kN sums and walks along k in steps of kK: 16-byte asynchronous copies run kStages − 1 steps ahead into a ring
// of shared memory, a warp takes its fragments from there with ldmatrix and keeps its sums in registers. The 16-byte chunks of
// a row are permuted so that eight neighbouring rows fill all 32 banks. Limit: the tensor cores, if the tile is large enough
// for the L2.
#pragma once

#include "cuda/gemm_epilogue.cuh"
#include "cuda/gemm_operands.cuh"
#include "cuda/kernels.h"
#include "cuda/mma.cuh"

namespace fude::cuda {

// Where copies are not asynchronous, before sm_80, further stages are of no use.
constexpr int kSynchronousStages = 2;

template <int kM_, int kN_, int kK_, int kWarpsM_, int kWarpsN_, int kStages_, int kBlocks_ = 1>
struct GemmTile {
  static constexpr int kM = kM_, kN = kN_, kK = kK_;
  static constexpr int kWarpsM = kWarpsM_, kWarpsN = kWarpsN_, kStages = kStages_;
  static constexpr int kBlocks = kBlocks_;  // at least so many on one multiprocessor
  static constexpr int kThreads = 32 * kWarpsM * kWarpsN;
  static constexpr int kWarpM = kM / kWarpsM, kWarpN = kN / kWarpsN;
  static constexpr int kChunks = kK / 8;            // 16-byte chunks in a row of a step
  static constexpr int kStep = kThreads / kChunks;  // rows that all threads bring at once
  static constexpr int kRowsA = kM / kStep, kRowsB = kN / kStep;
  static constexpr int kStageElements = (kM + kN) * kK;
  static constexpr int kStagingColumns = kWarpN + 8;  // 8: so that rows of sums start in different banks

  static constexpr int shared_bytes(int capability) {
    return (capability >= 80 ? kStages : kSynchronousStages) * kStageElements * 2;
  }

  static_assert(kK == 32 || kK == 64);
  static_assert(kStep % 8 == 0 && kM % kStep == 0 && kN % kStep == 0 && kWarpM % 16 == 0 && kWarpN % 16 == 0);
  static_assert(kThreads / 32 * 16 * kStagingColumns * 4 <= 2 * kStageElements * 2, "the sums pass through shared memory");
  static_assert(shared_bytes(80) <= 99 * 1024 && shared_bytes(75) <= 64 * 1024);
};

// Element offset of a chunk in a tile with kChunks chunks a row.
template <int kChunks>
__device__ inline int swizzled(int row, int chunk) {
  return (row * kChunks + (chunk ^ (kChunks == 8 ? row & 7 : row >> 1 & 3))) * 8;
}

// One product: out = a·bᵀ, its sums over k cut into `parts` where that is needed to keep the card busy.
template <class T, class Left>
struct Problem {
  Left a;
  MatrixOperand<T> b;
  Output out;
  int parts = 1;
};

// Several products that run side by side in one launch, block after block.
template <class T, class Left, int kMost>
struct Problems {
  Problem<T, Left> list[kMost];
  int end[kMost];  // the first block after each one's
};

__host__ __device__ constexpr int ceil_div(int size, int tile) { return (size + tile - 1) / tile; }

// Blocks that run together should read few different rows and columns: about 2048 rows by all columns, one after the other.
template <class Tile>
__device__ void tile_position(int index, int tiles_m, int tiles_n, int* m, int* n) {
  constexpr int kGroup = 2048 / Tile::kM;
  const int group = index / (kGroup * tiles_n), within = index - group * kGroup * tiles_n;
  const int height = min(kGroup, tiles_m - group * kGroup);
  *m = group * kGroup + within % height;
  *n = within / height;
}

template <class T, class Tile>
struct WarpSums {
  static constexpr int kTilesM = Tile::kWarpM / 16, kTilesN = Tile::kWarpN / 8;
  float sum[kTilesM][kTilesN][4] = {};
  uint32_t a[2][kTilesM][4], b[2][kTilesN / 2][4];  // fragments of two steps of 16 along k

  // a_at, b_at: element offsets of this lane's chunks at k = 0.
  __device__ void load(int which, const T* stage, int a_at, int b_at, int k) {
#pragma unroll
    for (int i = 0; i < kTilesM; ++i) load_matrices(a[which][i], stage + i * 16 * Tile::kK + (a_at ^ k));
#pragma unroll
    for (int j = 0; j < kTilesN / 2; ++j) load_matrices(b[which][j], stage + j * 16 * Tile::kK + (b_at ^ k));
  }
  __device__ void multiply(int which) {
#pragma unroll
    for (int i = 0; i < kTilesM; ++i)
#pragma unroll
      for (int j = 0; j < kTilesN; ++j)
        multiply_add<T>(sum[i][j], a[which][i], b[which][j / 2][j % 2 * 2], b[which][j / 2][j % 2 * 2 + 1]);
  }

  // Hands the sums to `out`, eight neighbouring columns at a time: 16 rows after the other through this warp's part of shared
  // memory.
  __device__ void finish(const Output& out, float* staging, int part, int m, int n) {
    constexpr int kLanes = Tile::kWarpN / 8, kPitch = Tile::kStagingColumns;
    const int lane = threadIdx.x % 32;
#pragma unroll 1  // the code for what happens to a sum is long enough once
    for (int i = 0; i < kTilesM; ++i) {
#pragma unroll
      for (int t = 0; t < kTilesM; ++t)
        if (t == i) put(staging, sum[t]);
      __syncwarp();
#pragma unroll 1
      for (int row = lane / kLanes; row < 16; row += 32 / kLanes) {
        const int column = lane % kLanes * 8;
        float v[8];
        load_elements(staging + row * kPitch + column, 8, true, v);
        out.finish<T, kLanes>(part, m + i * 16 + row, n + column, v);
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

template <class T, class Tile, class A, int kMost>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    product_kernel(const __grid_constant__ Problems<T, typename A::Params, kMost> problems) {
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
  while (kMost > 1 && blockIdx.x >= problems.end[which]) ++which;
  const Problem<T, typename A::Params>& problem = problems.list[which];
  const Output& out = problem.out;
  const int tiles_m = ceil_div(out.rows, Tile::kM);
  const int tiles_n = ceil_div(out.columns, Tile::kN);
  const int block = blockIdx.x - (which > 0 ? problems.end[which - 1] : 0), part = block / (tiles_m * tiles_n);
  int tile_m, tile_n;
  tile_position<Tile>(block - part * tiles_m * tiles_n, tiles_m, tiles_n, &tile_m, &tile_n);
  const int all_steps = ceil_div(problem.b.k, Tile::kK);
  const int first_step = part * all_steps / problem.parts;
  const int steps = (part + 1) * all_steps / problem.parts - first_step;

  const int row = thread / Tile::kChunks, chunk = thread % Tile::kChunks, first_k = first_step * Tile::kK + chunk * 8;
  A from_a(problem.a, tile_m * Tile::kM + row, Tile::kStep, first_k);
  MatrixRows<T, Tile::kRowsB> from_b(problem.b, tile_n * Tile::kN + row, Tile::kStep, first_k);
  T* const bring_to = ring + swizzled<Tile::kChunks>(row, chunk);
  int brought = 0, free_stage = 0;
  auto bring = [&] {
    if (brought++ < steps) {
      T* const to = bring_to + free_stage * Tile::kStageElements;
#pragma unroll
      for (int i = 0; i < Tile::kRowsA; ++i) copy_16(to + i * Tile::kStep * Tile::kK, from_a.address(i), from_a.valid(i));
#pragma unroll
      for (int i = 0; i < Tile::kRowsB; ++i)
        copy_16(to + (Tile::kM + i * Tile::kStep) * Tile::kK, from_b.address(i), from_b.valid(i));
      from_a.advance(Tile::kK);
      from_b.advance(Tile::kK);
      free_stage = free_stage + 1 == kStages ? 0 : free_stage + 1;
    }
    commit_copies();
  };

  const int a_at = swizzled<Tile::kChunks>(warp_m * Tile::kWarpM + lane % 16, lane / 16);
  const int b_at =
      Tile::kM * Tile::kK + swizzled<Tile::kChunks>(warp_n * Tile::kWarpN + lane % 8 + lane / 16 * 8, lane / 8 % 2);
#pragma unroll
  for (int i = 0; i < kStages - 1; ++i) bring();
  wait_copies<kStages - 2>();
  __syncthreads();

  WarpSums<T, Tile> sums;
  sums.load(0, ring, a_at, b_at, 0);
  int stage = 0;
  for (int step = 0; step < steps; ++step) {
#pragma unroll
    for (int k = 0; k < Tile::kK; k += 16) {
      const int now = k / 16 % 2;
      if (k + 16 == Tile::kK) {  // everything of this stage is in registers: the next one must have come, and this one is free
        stage = stage + 1 == kStages ? 0 : stage + 1;
        wait_copies<kStages - 2>();
        __syncthreads();
      }
      sums.load(now ^ 1, ring + stage * Tile::kStageElements, a_at, b_at, (k + 16) % Tile::kK);
      if (k == 0) bring();
      sums.multiply(now);
    }
  }

  wait_copies<0>();
  __syncthreads();
  float* const staging = reinterpret_cast<float*>(memory) + thread / 32 * 16 * Tile::kStagingColumns;
  sums.finish(out, staging, part, tile_m * Tile::kM + warp_m * Tile::kWarpM, tile_n * Tile::kN + warp_n * Tile::kWarpN);
}

template <class T, class Tile, class A, int kMost>
void product(const Card& card, cudaStream_t stream, const Problem<T, typename A::Params>* list, int count) {
  Problems<T, typename A::Params, kMost> problems{};
  int blocks = 0;
  for (int i = 0; i < count; ++i) {
    const Output& out = list[i].out;
    blocks += ceil_div(out.rows, Tile::kM) * ceil_div(out.columns, Tile::kN) * list[i].parts;
    problems.list[i] = list[i];
    problems.end[i] = blocks;
  }
  const int shared = Tile::shared_bytes(card.capability);
  const auto kernel = product_kernel<T, Tile, A, kMost>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared), "preparing a matrix product");
  kernel<<<blocks, Tile::kThreads, shared, stream>>>(problems);
  check(cudaGetLastError(), "starting a matrix product");
}

}  // namespace fude::cuda
