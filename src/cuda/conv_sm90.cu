// 3×3 convolutions for Hopper, NHWC, plain or after nearest ×2 upsampling: out = y + bias, or out += y + bias.
//
// An implicit GEMM: a tile is 8×16 output pixels by 128 output channels, so 128 rows (pixels; eight neighbours in x are a group
// of rows) by K = (channel, kx, ky). A k-step is 64 channels seen through one column of taps: TMA loads 8×18 pixels (the tile
// and its halo in y), shifted by kx, with zeros outside of the image; the three taps of the column read the same pixels, each 8
// rows further on, where a swizzled tile may begin. So a pixel comes from the L2 cache 3·18/16 times instead of 9.
//
// Upsampled, an output pixel of either parity in x and y sees 2×2 input pixels, with weights that pack_conv has summed: one
// convolution with 2×2 taps for each of the four phases, whose outputs interleave, 2.25 times less work.
//
// Otherwise as linear_sm90: persistent, warp-specialised, ping-pong. One producer thread fills a ring of k-steps in shared
// memory; two consumer warpgroups alternate in whole tiles, so that one runs its epilogue while the other multiplies. Two
// blocks make a cluster: they work on the same channels of neighbouring tiles, each loads half of the weights and multicasts
// them to both. Limit: the tensor cores; where few channels come out, the loads.
#include "cuda/accumulators_sm90.cuh"
#include "cuda/ceil_div.h"
#include "cuda/conv_sm90_params.h"
#include "cuda/elements.cuh"
#include "cuda/hopper.cuh"
#include "cuda/kernel.cuh"

namespace fude::cuda {
namespace {

constexpr int kTileWidth = kConvTileWidth, kTileHeight = kConvTileHeight;
constexpr int kAtoms = kTileWidth * kTileHeight / 64;  // wgmmas of 64 rows that cover a tile's pixels
[[maybe_unused]] constexpr int kAtomHeight = 64 / kTileWidth;

// The input row of the first output row of this parity that is not before `row`.
template <class Tiling>
__device__ inline int input_row(int row, int parity) {
  return (row - parity + Tiling::upscale - 1) / Tiling::upscale;
}

struct TileCoord {
  int n, y, x;  // the tile's first pixel, in the input's pixels; n may be past the last image
  int column;
  int phase, odd_y, odd_x;
};

// The order of tiles: channels and phases of one pair of tiles follow one another, so that its pixels are still in the L2
// cache.
template <class Tiling>
__device__ inline TileCoord tile_coord(const Convolution& c, int tile, int rank) {
  const int column = tile % c.column_tiles, phase = tile / c.column_tiles % Tiling::phases;
  const int pixels = tile / c.column_tiles / Tiling::phases * Tiling::cluster + rank;
  const int tile_x = pixels % c.tiles_x, row = pixels / c.tiles_x, n = row / c.tiles_y, odd_y = phase / 2;
  return {n,
          input_row<Tiling>(c.begin, odd_y) + (row - n * c.tiles_y) * kTileHeight,
          tile_x * kTileWidth,
          column * Tiling::columns,
          phase,
          odd_y,
          phase % 2};
}

template <class Tiling>
__device__ void produce(const Convolution& c, ConvRing<Tiling>& ring, int first, int step, int rank) {
  constexpr int kColumnsOfBlock = Tiling::columns / Tiling::cluster;
  constexpr uint16_t kAllBlocks = (1 << Tiling::cluster) - 1;
  PipelineState<Tiling::stages> state;
  for (int tile = first; tile < c.tiles; tile += step) {
    const TileCoord at = tile_coord<Tiling>(c, tile, rank);
    const int x = at.x - 1 + at.odd_x, y = at.y - 1 + at.odd_y;  // of the first tap
    for (int channel_tile = 0; channel_tile < c.channel_tiles; channel_tile++) {
      for (int kx = 0; kx < Tiling::taps; kx++, state.advance()) {
        const int stage = state.stage, channel = channel_tile * kKTile;
        Barrier* full = &ring.full[stage];
        wait(&ring.empty[stage], state.parity ^ 1);
        arrive_expecting(full, Tiling::x_bytes + Tiling::weight_bytes);
        tma_load(ring.x[stage], &c.x, channel, x + kx, y, at.n, full);
#pragma unroll
        for (int ky = 0; ky < Tiling::taps; ky++) {
          const int tap = (at.phase * Tiling::taps + ky) * Tiling::taps + kx;
          char* const to = ring.weight[stage] + ky * Tiling::tap_bytes + rank * kColumnsOfBlock * kKTile * 2;
          const int column = at.column + rank * kColumnsOfBlock;
          if constexpr (Tiling::cluster == 1) tma_load(to, &c.weight, channel, column, tap, full);
          else tma_load_multicast(to, &c.weight, channel, column, tap, full, kAllBlocks);
        }
      }
    }
  }
}

template <class Tiling>
__device__ inline void release(ConvRing<Tiling>& ring, int stage) {
  const int lane = threadIdx.x % kWarp;
  if (lane < Tiling::cluster) arrive_at(&ring.empty[stage], lane);
}

template <class T, class Tiling>
__device__ inline void multiply_k_step(ConvRing<Tiling>& ring, const PipelineState<Tiling::stages>& state,
                                       float (&acc)[kAtoms][Tiling::columns / 2]) {
  // Descriptor offsets, in units of 16 bytes: 16 elements of K, a row of the tile's pixels, 64 of its pixels, a tap's weights.
  constexpr int kStep = 16 * 2 / 16, kRow = kTileWidth * kKTile * 2 / 16, kAtom = kAtomHeight * kRow,
                kTap = Tiling::tap_bytes / 16;
  wait(&ring.full[state.stage], state.parity);
  const uint64_t x = smem_descriptor(ring.x[state.stage]);
  const uint64_t weight = smem_descriptor(ring.weight[state.stage]);
  wgmma_fence();
#pragma unroll
  for (int ky = 0; ky < Tiling::taps; ky++) {
#pragma unroll
    for (int k = 0; k < kKTile / 16; k++) {
#pragma unroll
      for (int atom = 0; atom < kAtoms; atom++)
        wgmma<T, Tiling::columns>(acc[atom], x + ky * kRow + atom * kAtom + k * kStep, weight + ky * kTap + k * kStep);
    }
  }
  wgmma_commit();
}

// As store_16bit, for a tile of eight columns of which not all exist: one by one, with their bias.
template <class T>
__device__ inline void store_columns(const Convolution& c, const float (&acc)[4], T* out, int64_t eight_rows, int rows) {
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const int h = i / 2, column = 2 * (static_cast<int>(threadIdx.x) % 4) + i % 2;
    if (8 * h >= rows || column >= c.columns) continue;
    T* const to = out + h * eight_rows + column;
    const float y = acc[i] + (c.bias ? __ldg(c.bias + column) : 0.0f);
    *to = from_float<T>(c.accumulate ? to_float(*to) + y : y);
  }
}

// The epilogue of one wgmma atom of a tile, eight rows of eight pixels, the first of which is input row y.
template <class T, class Tiling, int size>
__device__ inline void epilogue(const Convolution& c, const float (&acc)[size], const TileCoord& at, int y) {
  const int pixel = threadIdx.x % kWarpgroup / kWarp * 16 + threadIdx.x % kWarp / 4;  // the thread's other one lies below it
  const int x = at.x + pixel % kTileWidth;
  y += pixel / kTileWidth;
  const bool inside = x < c.width && at.n < c.n;
  const int rows = inside ? (input_row<Tiling>(c.end, at.odd_y) - y) * kTileWidth : 0;
  const int64_t width = int64_t{Tiling::upscale} * c.width;
  const int64_t row = int64_t{at.n} * (c.end - c.begin) + Tiling::upscale * y + at.odd_y - c.begin;
  const int64_t below = Tiling::upscale * width * c.columns;
  T* out = static_cast<T*>(c.out) + (row * width + Tiling::upscale * x + at.odd_x) * c.columns + at.column;
  if constexpr (Tiling::columns == 8) store_columns(c, acc, out, below, rows);
  else if (c.accumulate) store_16bit<true>(acc, out, below, rows, c.columns - at.column);
  else store_16bit<false>(acc, out, below, rows, c.columns - at.column);
}

template <class T, class Tiling>
__device__ void consume(const Convolution& c, ConvRing<Tiling>& ring, int first, int step, int rank, int consumer) {
  constexpr int kOrder = 1;  // and the next: named barriers that order the consumers' mainloops
  if (consumer == 1) named_barrier_arrive(kOrder, 2 * kWarpgroup);
  const int k_steps = c.channel_tiles * Tiling::taps;
  PipelineState<Tiling::stages> state;
  int turn = 0;  // the consumer whose tile it is
  for (int tile = first; tile < c.tiles; tile += step, turn ^= 1) {
    if (turn != consumer) {
      state.advance(k_steps);
      continue;
    }
    const TileCoord at = tile_coord<Tiling>(c, tile, rank);
    float acc[kAtoms][Tiling::columns / 2];
    init_accumulators(acc, Tiling::columns == 8 ? nullptr : c.bias, at.column, c.columns);
    named_barrier_sync(kOrder + consumer, 2 * kWarpgroup);
    multiply_k_step<T>(ring, state, acc);
    for (int i = 1; i < k_steps; i++) {
      const int previous = state.stage;
      state.advance();
      multiply_k_step<T>(ring, state, acc);
      wgmma_wait<1>();
      release(ring, previous);
    }
    named_barrier_arrive(kOrder + (consumer ^ 1), 2 * kWarpgroup);
    wgmma_wait<0>();
    release(ring, state.stage);
    state.advance();
#pragma unroll
    for (int atom = 0; atom < kAtoms; atom++) epilogue<T, Tiling>(c, acc[atom], at, at.y + atom * kAtomHeight);
  }
}

template <class T, class Tiling>
__device__ __forceinline__ void run(const ConvSm90Kernel<T, Tiling>& kernel) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  const Convolution& c = kernel.convolution;
  extern __shared__ __align__(1024) char shared[];
  ConvRing<Tiling>& ring = *reinterpret_cast<ConvRing<Tiling>*>(shared);
  const int rank = Tiling::cluster > 1 ? static_cast<int>(rank_in_cluster()) : 0;
  const int first = static_cast<int>(blockIdx.x) / Tiling::cluster, step = static_cast<int>(gridDim.x) / Tiling::cluster;
  if (threadIdx.x == 0) {
    prefetch_descriptor(&c.x);
    prefetch_descriptor(&c.weight);
    for (int stage = 0; stage < Tiling::stages; stage++) {
      init(&ring.full[stage], 1);
      init(&ring.empty[stage], Tiling::cluster * kWarpgroup / kWarp);
    }
    fence_barrier_init();
  }
  sync_cluster();

  const int warpgroup = __shfl_sync(~0u, static_cast<int>(threadIdx.x) / kWarpgroup, 0);
  if (warpgroup == 0) {
    warpgroup_reg_dealloc<40>();
    if (threadIdx.x == 0) produce<Tiling>(c, ring, first, step, rank);
    __syncwarp();
  } else {
    warpgroup_reg_alloc<232>();
    consume<T, Tiling>(c, ring, first, step, rank, warpgroup - 1);
  }
  sync_cluster();  // the other block may still multicast into this one's shared memory
#else
  __trap();
#endif
}

}  // namespace

FUDE_CONV_SM90_KERNELS(FUDE_DEFINE_KERNEL)

}  // namespace fude::cuda
