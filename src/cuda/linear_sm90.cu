// Linear layers for Hopper: y = activation(x·Wᵀ + bias), stored, added to what is there, or added with a gate; one to four
// products in one launch.
//
// The grid is as large as the card and walks over the tiles of all products. In each block one thread (the producer) keeps a
// ring of K-slices of x and W in shared memory filled by tensor copies; two warpgroups multiply them with wgmma, sums in
// registers. The two take turns at whole tiles, so that one writes its results while the other multiplies. Two blocks make a
// cluster: they work on the same columns, each copies half of the slice of W and both receive all of it. What limits this is
// the tensor cores (and, on large products, the card's power), next the traffic from the L2 cache, which is why tiles are large
// and W is shared.
#include "cuda/linear_sm90.h"

#include <algorithm>
#include <limits>

#include "cuda/accumulators_sm90.cuh"
#include "cuda/elements.cuh"
#include "cuda/hopper.cuh"
#include "cuda/hopper_launch.h"

namespace fude::cuda {
namespace {

constexpr int kHeadColumns = 64;
constexpr int kConsumers = 2;
constexpr int kThreads = (1 + kConsumers) * kWarpgroup;
constexpr int kSharedBytes = 227 * 1024;

// One product as the kernel sees it. Rows of x are cut into tiles batch item by batch item.
struct Product {
  CUtensorMap x;       // [batches, rows, K], boxes of a tile's rows
  CUtensorMap weight;  // [columns, K], boxes of a block's share of a tile's columns
  void* out;
  const float *bias, *gate;
  int64_t batch_stride, row_stride, gate_stride;
  int rows, columns, batches;
  int slices;        // of K
  int row_tiles;     // of one batch item
  int cluster_rows;  // row tiles of all batch items, in clusters
  int column_tiles;
  int end;         // of its tiles in the list of all products
  bool activated;  // y·sigmoid(−(linear·y + cubic·y³)/log2 e)
  float linear, cubic;
  bool wide, accumulate;  // out is f32; out is added to
  const float* norms[2];  // of the heads in the first and the second third of the columns, or none
  int third;              // of the columns
  float eps;
};
struct Group {
  Product products[kMaxLinearGroup];
  int tiles;  // of clusters
};

// How a block cuts its work.
template <int rows_of_warpgroup, int columns_, bool alternate_, int cluster_>
struct Tiling {
  static constexpr bool alternate =
      alternate_;  // the consumers take turns at tiles; otherwise each does half of every tile's rows
  static constexpr int cluster = cluster_;
  static constexpr int parts = rows_of_warpgroup / 64;  // of a consumer's rows, as wgmma takes 64
  static constexpr int rows = rows_of_warpgroup * (alternate ? 1 : kConsumers);
  static constexpr int columns = columns_;
  static constexpr int x_bytes = rows * kSlice * 2;
  static constexpr int weight_bytes = columns * kSlice * 2;
  static constexpr int stages = std::min(8, (kSharedBytes - 1024) / (x_bytes + weight_bytes));
};

template <class Tiling>
struct Ring {
  char x[Tiling::stages][Tiling::x_bytes];
  char weight[Tiling::stages][Tiling::weight_bytes];
  Barrier full[Tiling::stages], empty[Tiling::stages];
};

struct Place {
  int product, batch, row, column;  // the tile's first row and column
};

// Tiles go through bands of kBand clusters' rows, column by column, so that what runs at one time shares rows and columns in
// L2.
constexpr int kBand = 8;

template <class Tiling>
__device__ Place place_of(const Group& group, int tile, int rank) {
  int i = 0;
  while (tile >= group.products[i].end) i++;
  const Product& p = group.products[i];
  if (i > 0) tile -= group.products[i - 1].end;
  const int band = tile / (kBand * p.column_tiles), within = tile - band * kBand * p.column_tiles;
  const int height = min(kBand, p.cluster_rows - band * kBand);
  const int column = within / height;
  const int row = (band * kBand + within - column * height) * Tiling::cluster + rank;
  const int batch = row / p.row_tiles;
  return {i, batch, (row - batch * p.row_tiles) * Tiling::rows, column * Tiling::columns};
}

template <class Tiling>
__device__ void produce(const Group& group, Ring<Tiling>& ring, int first, int step, int rank) {
  constexpr int kShare = Tiling::columns / Tiling::cluster;
  constexpr uint16_t kAll = (1 << Tiling::cluster) - 1;
  Cursor<Tiling::stages> cursor;
  for (int tile = first; tile < group.tiles; tile += step) {
    const Place place = place_of<Tiling>(group, tile, rank);
    const Product& p = group.products[place.product];
    for (int slice = 0; slice < p.slices; slice++, cursor.advance()) {
      const int stage = cursor.stage, k = slice * kSlice;
      Barrier* full = &ring.full[stage];
      wait(&ring.empty[stage], cursor.parity ^ 1);
      arrive_expecting(full, Tiling::x_bytes + Tiling::weight_bytes);
      copy_box(ring.x[stage], &p.x, k, place.row, place.batch, full);
      if constexpr (Tiling::cluster == 1) copy_box(ring.weight[stage], &p.weight, k, place.column, 0, full);
      else
        copy_box_to_all(ring.weight[stage] + rank * kShare * kSlice * 2, &p.weight, k, place.column + rank * kShare, 0, full,
                        kAll);
    }
  }
}

// ---- results -----------------------------------------------------------------------------------------------------------

__device__ inline float exp2_approximate(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;\n" : "=f"(y) : "f"(x));
  return y;
}
__device__ inline float reciprocal_approximate(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;\n" : "=f"(y) : "f"(x));
  return y;
}

template <int size>
__device__ inline void activate_all(const Product& p, float (&c)[size]) {
#pragma unroll
  for (int i = 0; i < size; i++)
    c[i] *= reciprocal_approximate(1.0f + exp2_approximate(c[i] * (p.linear + p.cubic * c[i] * c[i])));
}

// RMS norm of heads of 64 columns, each of which four lanes hold for two rows.
template <int size>
__device__ inline void normalise_heads(const Product& p, float (&c)[size], int column) {
  constexpr int kOfHead = kHeadColumns / 2;  // of a thread's sums
#pragma unroll
  for (int head = 0; head < size / kOfHead; head++) {
    const int first = column + head * kHeadColumns;
    const float* weight = first < p.third ? p.norms[0] : first < 2 * p.third ? p.norms[1] : nullptr;
    if (!weight) continue;
    float scale[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
      float squares = 0;
#pragma unroll
      for (int i = head * kOfHead + 2 * h; i < (head + 1) * kOfHead; i += 4) squares += c[i] * c[i] + c[i + 1] * c[i + 1];
      squares += __shfl_xor_sync(~0u, squares, 1);
      squares += __shfl_xor_sync(~0u, squares, 2);
      scale[h] = rsqrtf(squares / kHeadColumns + p.eps);
    }
    for_pairs<kHeadColumns>(weight + 2 * (threadIdx.x % 4), kHeadColumns, [&](int j, float2 w) {
      float* pairs = &c[head * kOfHead + 4 * j];
      pairs[0] *= scale[0] * w.x, pairs[1] *= scale[0] * w.y;
      pairs[2] *= scale[1] * w.x, pairs[3] *= scale[1] * w.y;
    });
  }
}

// Each lane writes pairs of f32: four lanes fill a 32-byte sector.
template <bool accumulate, int size>
__device__ inline void store_wide(const float (&c)[size], float* out, int64_t row_stride, int rows, int columns) {
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

// Stores the sums of a warpgroup's 64 rows, the first of which is `row`.
template <class T, int size>
__device__ inline void finish(const Product& p, float (&c)[size], int batch, int row, int column) {
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
    if (p.accumulate) store_wide<true>(c, out, p.row_stride, rows, columns);
    else store_wide<false>(c, out, p.row_stride, rows, columns);
  } else {
    T* out = static_cast<T*>(p.out) + offset;
    if (p.accumulate) store_narrow<true>(c, out, 8 * p.row_stride, rows, columns);
    else store_narrow<false>(c, out, 8 * p.row_stride, rows, columns);
  }
}

// ---- products ----------------------------------------------------------------------------------------------------------

template <class Tiling>
__device__ inline void release(Ring<Tiling>& ring, int stage) {
  const int lane = threadIdx.x % kWarp;
  if (lane < Tiling::cluster) arrive_at(&ring.empty[stage], lane);
}

template <class T, class Tiling>
__device__ inline void multiply_slice(Ring<Tiling>& ring, const Cursor<Tiling::stages>& cursor, int first_row,
                                      float (&sums)[Tiling::parts][Tiling::columns / 2]) {
  constexpr int kStep = 16 * 2 / 16, kPart = 64 * kSlice * 2 / 16;  // 16 elements of K, 64 rows: in units of 16 bytes
  wait(&ring.full[cursor.stage], cursor.parity);
  const uint64_t x = describe_tile(ring.x[cursor.stage] + first_row * kSlice * 2);
  const uint64_t weight = describe_tile(ring.weight[cursor.stage]);
  begin_products();
#pragma unroll
  for (int k = 0; k < kSlice / 16; k++) {
#pragma unroll
    for (int part = 0; part < Tiling::parts; part++)
      multiply_add<T, Tiling::columns>(sums[part], x + k * kStep + part * kPart, weight + k * kStep);
  }
  commit_products();
}

// The products of the last slice are still under way when this returns, and its stage is not released.
template <class T, class Tiling>
__device__ inline void multiply(Ring<Tiling>& ring, Cursor<Tiling::stages>& cursor, int slices, int first_row,
                                float (&sums)[Tiling::parts][Tiling::columns / 2]) {
  multiply_slice<T>(ring, cursor, first_row, sums);
  for (int slice = 1; slice < slices; slice++) {
    const int previous = cursor.stage;
    cursor.advance();
    multiply_slice<T>(ring, cursor, first_row, sums);
    wait_products<1>();
    release(ring, previous);
  }
}

template <class T, class Tiling>
__device__ void consume(const Group& group, Ring<Tiling>& ring, int first, int step, int rank, int consumer) {
  constexpr int kTurn = 1;  // and the next: barriers of the consumers' turns
  if (Tiling::alternate && consumer == 1) arrive_threads(kTurn, 2 * kWarpgroup);
  const int first_row = Tiling::alternate ? 0 : consumer * 64 * Tiling::parts;
  Cursor<Tiling::stages> cursor;
  int turn = 0;
  for (int tile = first; tile < group.tiles; tile += step, turn ^= 1) {
    const Place place = place_of<Tiling>(group, tile, rank);
    const Product& p = group.products[place.product];
    if (Tiling::alternate && turn != consumer) {
      cursor.advance(p.slices);
      continue;
    }
    float sums[Tiling::parts][Tiling::columns / 2];
    start_sums(sums, p.bias, place.column, p.columns);
    if (Tiling::alternate) sync_threads(kTurn + consumer, 2 * kWarpgroup);
    multiply<T>(ring, cursor, p.slices, first_row, sums);
    if (Tiling::alternate) arrive_threads(kTurn + (consumer ^ 1), 2 * kWarpgroup);
    wait_products<0>();
    release(ring, cursor.stage);
    cursor.advance();
#pragma unroll
    for (int part = 0; part < Tiling::parts; part++)
      finish<T>(p, sums[part], place.batch, place.row + first_row + 64 * part, place.column);
  }
}

template <class T, class Tiling>
__global__ void __launch_bounds__(kThreads, 1) linear_group_kernel(const __grid_constant__ Group group) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ __align__(1024) char shared[];
  Ring<Tiling>& ring = *reinterpret_cast<Ring<Tiling>*>(shared);
  const int rank = Tiling::cluster > 1 ? rank_in_cluster() : 0;
  const int first = blockIdx.x / Tiling::cluster, step = gridDim.x / Tiling::cluster;
  if (threadIdx.x == 0) {
    for (int i = 0; i == 0 || group.products[i - 1].end < group.tiles; i++) {
      prefetch_map(&group.products[i].x);
      prefetch_map(&group.products[i].weight);
    }
    constexpr int kReaders = (Tiling::alternate ? 1 : kConsumers) * Tiling::cluster;
    for (int stage = 0; stage < Tiling::stages; stage++) {
      init(&ring.full[stage], 1);
      init(&ring.empty[stage], kReaders * kWarpgroup / kWarp);
    }
    publish_barriers();
  }
  sync_cluster();

  const int warpgroup = __shfl_sync(~0u, threadIdx.x / kWarpgroup, 0);
  if (warpgroup == 0) {
    lower_registers<24>();
    if (threadIdx.x == 0) produce<Tiling>(group, ring, first, step, rank);
    __syncwarp();
  } else {
    raise_registers<240>();
    consume<T, Tiling>(group, ring, first, step, rank, warpgroup - 1);
  }
  sync_cluster();  // the other block may still write to this one's memory
#else
  __trap();
#endif
}

// ---- launch ------------------------------------------------------------------------------------------------------------

// sigmoid's argument x·(a + b·x²), as the exponent of 2 the kernel takes. GELU's tanh form is x·sigmoid(2·√(2/π)·(x +
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

int ceil_div(int a, int b) { return (a + b - 1) / b; }

Product describe(const LinearArgs& args, int tile_rows, int tile_columns, int cluster, int begin) {
  const Matrix &x = args.x, &out = args.out;
  Product p = {};
  p.x = tensor_map(x.dtype, x.data,
                   {{x.columns, 1, kSlice},
                    {x.rows, x.row_stride, tile_rows},
                    {x.batches, x.batches > 1 ? x.batch_stride : x.rows * x.row_stride, 1}},
                   "a linear layer's input");
  p.weight =
      tensor_map(x.dtype, args.weight,
                 {{x.columns, 1, kSlice}, {out.columns, x.columns, tile_columns / cluster}, {1, out.columns * x.columns, 1}},
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
  p.slices = ceil_div(static_cast<int>(x.columns), kSlice);
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
  Group group = {};
  for (int i = 0; i < count; i++) {
    group.products[i] = describe(args[i], Tiling::rows, Tiling::columns, Tiling::cluster, group.tiles);
    group.tiles = group.products[i].end;
  }
  const auto kernel = linear_group_kernel<T, Tiling>;
  constexpr int kBytes = sizeof(Ring<Tiling>);
  static_assert(kBytes <= kSharedBytes);
  launch_clusters(card, stream, kernel, group, group.tiles, Tiling::cluster, kThreads, kBytes, "starting linear layers");
}

}  // namespace

bool linear_sm90_takes(const Card& card, const LinearArgs& args) {
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
  return linear_sm90_takes(card, args) && args.norms.head_dim == kHeadColumns && args.out.columns % (3 * kHeadColumns) == 0;
}

void linear_sm90(const Card& card, cudaStream_t stream, const LinearArgs& args) { linear_group_sm90(card, stream, &args, 1); }

void linear_group_sm90(const Card& card, cudaStream_t stream, const LinearArgs* args, int count) {
  if (args->x.dtype == DType::f16) launch<__half, Tiling<128, 192, true, 2>>(card, stream, args, count);
  else launch<__nv_bfloat16, Tiling<128, 192, true, 2>>(card, stream, args, count);
}

}  // namespace fude::cuda
