// Linear layers for Hopper: y = activation(x·Wᵀ + bias), stored, added to the output, or added with a gate; one to four GEMMs
// in one launch.
//
// A persistent, warp-specialised, ping-pong kernel (CUTLASS' name for it): the grid is as large as the GPU and walks over the
// tiles of all GEMMs. In each block one producer thread fills a ring of k-tiles of x and W in shared memory with TMA; two
// consumer warpgroups multiply them with wgmma, accumulators in registers, and alternate in whole tiles, so that one runs its
// epilogue while the other multiplies. Two blocks make a cluster: they work on the same columns, each loads half of W's k-tile
// and multicasts it to both. Limit: the tensor cores (and, on large GEMMs, the GPU's power), next the traffic from the L2
// cache, which is why tiles are large and W is shared.
#include "cuda/linear_sm90.h"

#include <algorithm>
#include <limits>

#include "cuda/accumulators_sm90.cuh"
#include "cuda/ceil_div.h"
#include "cuda/elements.cuh"
#include "cuda/hopper.cuh"
#include "cuda/hopper_launch.h"

namespace fude::cuda {
namespace {

constexpr int kConsumers = 2;
constexpr int kThreads = (1 + kConsumers) * kWarpgroup;
constexpr int kSharedBytes = 227 * 1024;

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
struct Tiling {
  // Ping-pong: the consumers alternate in tiles. Otherwise cooperative: each computes half of every tile's rows.
  static constexpr bool ping_pong = ping_pong_;
  static constexpr int cluster = cluster_;
  static constexpr int atoms = rows_of_warpgroup / 64;  // wgmmas of 64 rows that cover a consumer's rows
  static_assert(atoms * 64 == rows_of_warpgroup);
  static constexpr int rows = rows_of_warpgroup * (ping_pong ? 1 : kConsumers);
  static constexpr int columns = columns_;
  static constexpr int x_bytes = rows * kKTile * 2;
  static constexpr int weight_bytes = columns * kKTile * 2;
  static constexpr int stages = std::min(8, (kSharedBytes - 1024) / (x_bytes + weight_bytes));
};

template <class Tiling>
struct Ring {
  char x[Tiling::stages][Tiling::x_bytes];
  char weight[Tiling::stages][Tiling::weight_bytes];
  Barrier full[Tiling::stages], empty[Tiling::stages];
};

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
__device__ void produce(const GroupedGemm& group, Ring<Tiling>& ring, int first, int step, int rank) {
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
__device__ inline void release(Ring<Tiling>& ring, int stage) {
  const int lane = threadIdx.x % kWarp;
  if (lane < Tiling::cluster) arrive_at(&ring.empty[stage], lane);
}

template <class T, class Tiling>
__device__ inline void multiply_k_tile(Ring<Tiling>& ring, const PipelineState<Tiling::stages>& state, int first_row,
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
__device__ inline void multiply(Ring<Tiling>& ring, PipelineState<Tiling::stages>& state, int k_tiles, int first_row,
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
__device__ void consume(const GroupedGemm& group, Ring<Tiling>& ring, int first, int step, int rank, int consumer) {
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
__global__ void __launch_bounds__(kThreads, 1) linear_sm90_kernel(const __grid_constant__ GroupedGemm group) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ __align__(1024) char shared[];
  Ring<Tiling>& ring = *reinterpret_cast<Ring<Tiling>*>(shared);
  const int rank = Tiling::cluster > 1 ? rank_in_cluster() : 0;
  const int first = blockIdx.x / Tiling::cluster, step = gridDim.x / Tiling::cluster;
  if (threadIdx.x == 0) {
    for (int i = 0; i == 0 || group.gemms[i - 1].end < group.tiles; i++) {
      prefetch_descriptor(&group.gemms[i].x);
      prefetch_descriptor(&group.gemms[i].weight);
    }
    constexpr int kReaders = (Tiling::ping_pong ? 1 : kConsumers) * Tiling::cluster;
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

// ---- launch ------------------------------------------------------------------------------------------------------------

// sigmoid's argument x·(a + b·x²), as the exponent of 2 that the kernel takes. GELU's tanh form is x·sigmoid(2·√(2/π)·(x +
// 0.044715·x³)).
struct Curve {
  float linear, cubic;
};
Curve curve(Activation activation) {
  constexpr float kLog2e = 1.4426950408889634f;
  switch (activation) {
    case Activation::silu: return {-kLog2e, 0};
    case Activation::quick_gelu: return {-1.702f * kLog2e, 0};
    case Activation::gelu_tanh: return {-1.5957691216057308f * kLog2e, -1.5957691216057308f * 0.044715f * kLog2e};
    default: return {0, 0};
  }
}

Gemm describe(const LinearArgs& args, int tile_rows, int tile_columns, int cluster, int begin) {
  const Matrix &x = args.x, &out = args.out;
  Gemm p = {};
  p.x = tma_descriptor(x.dtype, x.data,
                       {{x.columns, 1, kKTile},
                        {x.rows, x.row_stride, tile_rows},
                        {x.batches, x.batches > 1 ? x.batch_stride : x.rows * x.row_stride, 1}},
                       "a linear layer's input");
  p.weight = tma_descriptor(
      x.dtype, args.weight,
      {{x.columns, 1, kKTile}, {out.columns, x.columns, tile_columns / cluster}, {1, out.columns * x.columns, 1}},
      "a linear layer's weight");
  p.out = out.data;
  p.bias = args.bias;
  p.gate = args.gate;
  p.batch_stride = out.batch_stride;
  p.row_stride = out.row_stride;
  p.gate_stride = args.gate_stride;
  p.rows = static_cast<int>(out.rows);
  p.columns = static_cast<int>(out.columns);
  p.batches = static_cast<int>(out.batches);
  p.k_tiles = ceil_div(static_cast<int>(x.columns), kKTile);
  p.row_tiles = ceil_div(p.rows, tile_rows);
  p.cluster_rows = ceil_div(p.batches * p.row_tiles, cluster);
  p.column_tiles = ceil_div(p.columns, tile_columns);
  p.end = begin + p.cluster_rows * p.column_tiles;
  const auto [linear, cubic] = curve(args.activation);
  p.activated = args.activation != Activation::none;
  p.linear = linear;
  p.cubic = cubic;
  p.norms[0] = args.norms.query;
  p.norms[1] = args.norms.key;
  p.third = p.columns / 3;
  p.eps = args.norms.eps;
  p.wide = out.dtype == DType::f32;
  p.accumulate = args.accumulate || args.gate;
  return p;
}

template <class T, class Tiling>
void launch(const Card& card, cudaStream_t stream, const LinearArgs* args, int count) {
  GroupedGemm group = {};
  for (int i = 0; i < count; i++) {
    group.gemms[i] = describe(args[i], Tiling::rows, Tiling::columns, Tiling::cluster, group.tiles);
    group.tiles = group.gemms[i].end;
  }
  const auto kernel = linear_sm90_kernel<T, Tiling>;
  constexpr int kBytes = sizeof(Ring<Tiling>);
  static_assert(kBytes <= kSharedBytes);
  launch_clusters(card, stream, kernel, group, group.tiles, Tiling::cluster, kThreads, kBytes, "starting linear layers");
}

}  // namespace

bool linear_sm90_supports(const Card& card, const LinearArgs& args) {
  const Matrix &x = args.x, &out = args.out;
  const auto aligned = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; };
  const auto whole = [](int64_t elements, DType dtype) { return elements * size_of(dtype) % 16 == 0; };
  return card.capability == 90 && (x.dtype == DType::f16 || x.dtype == DType::bf16) &&
         (out.dtype == x.dtype || out.dtype == DType::f32) && args.activation != Activation::gelu_erf && aligned(x.data) &&
         aligned(out.data) && aligned(args.weight) && aligned(args.bias) && aligned(args.gate) && x.columns % 8 == 0 &&
         out.columns % 8 == 0 && x.row_stride % 8 == 0 && x.batch_stride % 8 == 0 && whole(out.row_stride, out.dtype) &&
         whole(out.batch_stride, out.dtype) && args.gate_stride % 4 == 0;
}

bool linear_sm90_norms_heads(const Card& card, const LinearArgs& args) {
  return linear_sm90_supports(card, args) && args.norms.head_dim == kHeadDim && args.out.columns % (3 * kHeadDim) == 0;
}

void linear_sm90(const Card& card, cudaStream_t stream, const LinearArgs& args) { linear_group_sm90(card, stream, &args, 1); }

void linear_group_sm90(const Card& card, cudaStream_t stream, const LinearArgs* args, int count) {
  if (args->x.dtype == DType::f16) launch<__half, Tiling<128, 192, true, 2>>(card, stream, args, count);
  else launch<__nv_bfloat16, Tiling<128, 192, true, 2>>(card, stream, args, count);
}

}  // namespace fude::cuda
