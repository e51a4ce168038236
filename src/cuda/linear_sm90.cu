// Linear layers for Hopper: y = activation(x·Wᵀ + bias), stored, added to the output, or added with a gate; one to four GEMMs
// in one launch.
//
// A persistent, warp-specialised, ping-pong kernel (CUTLASS' name for it): the grid is as large as the GPU and walks over the
// tiles of all GEMMs. In each block one producer thread fills a ring of k-tiles of x and W in shared memory with TMA; two
// consumer warpgroups multiply them with wgmma, accumulators in registers, and alternate in whole tiles, so that one runs its
// epilogue while the other multiplies. Two blocks make a cluster: they work on the same columns, each loads half of W's k-tile
// and multicasts it to both. Limit: the tensor cores (and, on large GEMMs, the GPU's power), next the traffic from the L2
// cache, which is why tiles are large and W is shared.
#include "cuda/accumulators_sm90.cuh"
#include "cuda/ceil_div.h"
#include "cuda/elements.cuh"
#include "cuda/hopper.cuh"
#include "cuda/kernel.cuh"
#include "cuda/linear_sm90_params.h"

namespace fude::cuda {
namespace {

struct TileCoord {
  int gemm, batch, row, column;  // the tile's first row and column
};

// The order of tiles: groups of kGroupRows clusters' rows, column by column, so that blocks that run together share rows and
// columns in L2.
[[maybe_unused]] constexpr int kGroupRows = 8;

template <class Tiling>
__device__ TileCoord tile_coord(const GroupedGemm& group, int tile, int rank) {
  int i = 0;
  while (tile >= group.gemms[i].end) i++;
  const Gemm& p = group.gemms[i];
  if (i > 0) tile -= group.gemms[i - 1].end;
  const int row_group = tile / (kGroupRows * p.column_tiles), within = tile - row_group * kGroupRows * p.column_tiles;
  const int height = min(kGroupRows, p.cluster_rows - row_group * kGroupRows);
  const int column = within / height;
  const int row = (row_group * kGroupRows + within - column * height) * Tiling::cluster + rank;
  const int batch = row / p.row_tiles;
  return {i, batch, (row - batch * p.row_tiles) * Tiling::rows, column * Tiling::columns};
}

template <class Tiling>
__device__ void produce(const GroupedGemm& group, LinearRing<Tiling>& ring, int first, int step, int rank) {
  constexpr int kColumnsOfBlock = Tiling::columns / Tiling::cluster;
  constexpr uint16_t kAllBlocks = (1 << Tiling::cluster) - 1;
  PipelineState<Tiling::stages> state;
  for (int tile = first; tile < group.tiles; tile += step) {
    const TileCoord at = tile_coord<Tiling>(group, tile, rank);
    const Gemm& p = group.gemms[at.gemm];
    for (int k_tile = 0; k_tile < p.k_tiles; k_tile++, state.advance()) {
      const int stage = state.stage, k = k_tile * kKTile;
      Barrier* full = &ring.full[stage];
      wait(&ring.empty[stage], state.parity ^ 1);
      arrive_expecting(full, Tiling::x_bytes + Tiling::weight_bytes);
      tma_load(ring.x[stage], &p.x, k, at.row, at.batch, full);
      if constexpr (Tiling::cluster == 1) tma_load(ring.weight[stage], &p.weight, k, at.column, 0, full);
      else
        tma_load_multicast(ring.weight[stage] + rank * kColumnsOfBlock * kKTile * 2, &p.weight, k,
                           at.column + rank * kColumnsOfBlock, 0, full, kAllBlocks);
    }
  }
}

// ---- epilogue ----------------------------------------------------------------------------------------------------------

[[maybe_unused]] __device__ inline float reciprocal_fast(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;\n" : "=f"(y) : "f"(x));
  return y;
}

template <int size>
__device__ inline void activate_all(const Gemm& p, float (&c)[size]) {
#pragma unroll
  for (int i = 0; i < size; i++) c[i] *= reciprocal_fast(1.0f + exp2_fast(c[i] * (p.linear + p.cubic * c[i] * c[i])));
}

// QK-norm: RMS norm of heads of 64 columns, each of which four lanes hold for two rows.
template <int size>
__device__ inline void normalise_heads(const Gemm& p, float (&c)[size], int column) {
  constexpr int kHeadAcc = kHeadDim / 2;  // of a thread's accumulators
#pragma unroll
  for (int head = 0; head < size / kHeadAcc; head++) {
    const int first = column + head * kHeadDim;
    const float* weight = first < p.third ? p.norms[0] : first < 2 * p.third ? p.norms[1] : nullptr;
    if (!weight) continue;
    float scale[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
      float squares = 0;
#pragma unroll
      for (int i = head * kHeadAcc + 2 * h; i < (head + 1) * kHeadAcc; i += 4) squares += c[i] * c[i] + c[i + 1] * c[i + 1];
      squares += __shfl_xor_sync(~0u, squares, 1);
      squares += __shfl_xor_sync(~0u, squares, 2);
      scale[h] = rsqrtf(squares / kHeadDim + p.eps);
    }
    for_pairs<kHeadDim>(weight + 2 * (threadIdx.x % 4), kHeadDim, [&](int j, float2 w) {
      float* pairs = &c[head * kHeadAcc + 4 * j];
      pairs[0] *= scale[0] * w.x, pairs[1] *= scale[0] * w.y;
      pairs[2] *= scale[1] * w.x, pairs[3] *= scale[1] * w.y;
    });
  }
}

// Each lane writes pairs of f32: four lanes fill a 32-byte sector.
template <bool accumulate, int size>
__device__ inline void store_f32(const float (&c)[size], float* out, int64_t row_stride, int rows, int columns) {
  out += 2 * (threadIdx.x % 4);
#pragma unroll
  for (int h = 0; h < 2; h++, out += 8 * row_stride) {
    const int valid = 8 * h < rows ? columns : 0;
#pragma unroll
    for (int j = 0; j < size / 4; j++) {
      const float x = c[4 * j + 2 * h], y = c[4 * j + 2 * h + 1];
      if (8 * j >= valid) continue;
      if constexpr (accumulate) add_to(out + 8 * j, x, y);
      else *reinterpret_cast<float2*>(out + 8 * j) = make_float2(x, y);
    }
  }
}

// The epilogue of a warpgroup's 64 rows, the first of which is `row`.
template <class T, int size>
__device__ inline void epilogue(const Gemm& p, float (&c)[size], int batch, int row, int column) {
  const int lane = threadIdx.x % kWarp;
  const int columns = p.columns - column;  // from the tile's first on
  if (p.norms[0] || p.norms[1]) normalise_heads(p, c, column);
  if (p.activated) activate_all(p, c);
  if (p.gate && batch < p.batches) {
    for_pairs<2 * size>(p.gate + batch * p.gate_stride + column + 2 * (lane % 4), columns, [&](int j, float2 gate) {
      c[4 * j] *= gate.x, c[4 * j + 2] *= gate.x;
      c[4 * j + 1] *= gate.y, c[4 * j + 3] *= gate.y;
    });
  }
  row += threadIdx.x % kWarpgroup / kWarp * 16 + lane / 4;
  const int rows = batch < p.batches ? p.rows - row : 0;  // from the thread's first on
  const int64_t offset = batch * p.batch_stride + row * p.row_stride + column;
  if (p.wide) {
    float* out = static_cast<float*>(p.out) + offset;
    if (p.accumulate) store_f32<true>(c, out, p.row_stride, rows, columns);
    else store_f32<false>(c, out, p.row_stride, rows, columns);
  } else {
    T* out = static_cast<T*>(p.out) + offset;
    if (p.accumulate) store_16bit<true>(c, out, 8 * p.row_stride, rows, columns);
    else store_16bit<false>(c, out, 8 * p.row_stride, rows, columns);
  }
}

// ---- mainloop -------------------------------------------------------------------------------------------------------

template <class Tiling>
__device__ inline void release(LinearRing<Tiling>& ring, int stage) {
  const int lane = threadIdx.x % kWarp;
  if (lane < Tiling::cluster) arrive_at(&ring.empty[stage], lane);
}

template <class T, class Tiling>
__device__ inline void multiply_k_tile(LinearRing<Tiling>& ring, const PipelineState<Tiling::stages>& state, int first_row,
                                       float (&acc)[Tiling::atoms][Tiling::columns / 2]) {
  constexpr int kStep = 16 * 2 / 16, kAtom = 64 * kKTile * 2 / 16;  // 16 elements of K, 64 rows: in units of 16 bytes
  wait(&ring.full[state.stage], state.parity);
  const uint64_t x = smem_descriptor(ring.x[state.stage] + first_row * kKTile * 2);
  const uint64_t weight = smem_descriptor(ring.weight[state.stage]);
  wgmma_fence();
#pragma unroll
  for (int k = 0; k < kKTile / 16; k++) {
#pragma unroll
    for (int atom = 0; atom < Tiling::atoms; atom++)
      wgmma<T, Tiling::columns>(acc[atom], x + k * kStep + atom * kAtom, weight + k * kStep);
  }
  wgmma_commit();
}

// The wgmmas of the last k-tile are still in flight when this returns, and its stage is not released.
template <class T, class Tiling>
__device__ inline void multiply(LinearRing<Tiling>& ring, PipelineState<Tiling::stages>& state, int k_tiles, int first_row,
                                float (&acc)[Tiling::atoms][Tiling::columns / 2]) {
  multiply_k_tile<T>(ring, state, first_row, acc);
  for (int k_tile = 1; k_tile < k_tiles; k_tile++) {
    const int previous = state.stage;
    state.advance();
    multiply_k_tile<T>(ring, state, first_row, acc);
    wgmma_wait<1>();
    release(ring, previous);
  }
}

template <class T, class Tiling>
__device__ void consume(const GroupedGemm& group, LinearRing<Tiling>& ring, int first, int step, int rank, int consumer) {
  constexpr int kOrder = 1;  // and the next: named barriers that order the consumers' mainloops
  if (Tiling::ping_pong && consumer == 1) named_barrier_arrive(kOrder, 2 * kWarpgroup);
  const int first_row = Tiling::ping_pong ? 0 : consumer * 64 * Tiling::atoms;
  PipelineState<Tiling::stages> state;
  int turn = 0;  // the consumer whose tile it is
  for (int tile = first; tile < group.tiles; tile += step, turn ^= 1) {
    const TileCoord at = tile_coord<Tiling>(group, tile, rank);
    const Gemm& p = group.gemms[at.gemm];
    if (Tiling::ping_pong && turn != consumer) {
      state.advance(p.k_tiles);
      continue;
    }
    float acc[Tiling::atoms][Tiling::columns / 2];
    init_accumulators(acc, p.bias, at.column, p.columns);
    if (Tiling::ping_pong) named_barrier_sync(kOrder + consumer, 2 * kWarpgroup);
    multiply<T>(ring, state, p.k_tiles, first_row, acc);
    if (Tiling::ping_pong) named_barrier_arrive(kOrder + (consumer ^ 1), 2 * kWarpgroup);
    wgmma_wait<0>();
    release(ring, state.stage);
    state.advance();
#pragma unroll
    for (int atom = 0; atom < Tiling::atoms; atom++)
      epilogue<T>(p, acc[atom], at.batch, at.row + first_row + 64 * atom, at.column);
  }
}

template <class T, class Tiling>
__device__ __forceinline__ void run(const LinearSm90Kernel<T, Tiling>& kernel) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  const GroupedGemm& group = kernel.group;
  extern __shared__ __align__(1024) char shared[];
  LinearRing<Tiling>& ring = *reinterpret_cast<LinearRing<Tiling>*>(shared);
  const int rank = Tiling::cluster > 1 ? rank_in_cluster() : 0;
  const int first = blockIdx.x / Tiling::cluster, step = gridDim.x / Tiling::cluster;
  if (threadIdx.x == 0) {
    for (int i = 0; i == 0 || group.gemms[i - 1].end < group.tiles; i++) {
      prefetch_descriptor(&group.gemms[i].x);
      prefetch_descriptor(&group.gemms[i].weight);
    }
    constexpr int kReaders = (Tiling::ping_pong ? 1 : kHopperConsumers) * Tiling::cluster;
    for (int stage = 0; stage < Tiling::stages; stage++) {
      init(&ring.full[stage], 1);
      init(&ring.empty[stage], kReaders * kWarpgroup / kWarp);
    }
    fence_barrier_init();
  }
  sync_cluster();

  const int warpgroup = __shfl_sync(~0u, threadIdx.x / kWarpgroup, 0);
  if (warpgroup == 0) {
    warpgroup_reg_dealloc<24>();
    if (threadIdx.x == 0) produce<Tiling>(group, ring, first, step, rank);
    __syncwarp();
  } else {
    warpgroup_reg_alloc<240>();
    consume<T, Tiling>(group, ring, first, step, rank, warpgroup - 1);
  }
  sync_cluster();  // the other block may still multicast into this one's shared memory
#else
  __trap();
#endif
}

}  // namespace

FUDE_LINEAR_SM90_KERNELS(FUDE_DEFINE_KERNEL)

}  // namespace fude::cuda
