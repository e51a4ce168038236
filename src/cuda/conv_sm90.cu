// 3×3 convolutions for Hopper, NHWC, plain or after nearest ×2 upsampling: out = y + bias, or out += y + bias.
//
// A tile is 8×16 pixels by 128 channels of the result: a product of 128 rows (pixels, eight neighbours in x are a group of
// rows) by K = (channel, kx, ky). A step of K is 64 channels seen through one column of taps: the copy engine brings 8×18
// pixels, shifted by kx, and zeros for what lies outside of the picture; the three taps of the column read the same pixels,
// each 8 rows further on, where a swizzled tile may begin. So a pixel comes from the L2 cache 3·18/16 times instead of 9.
//
// Upsampled, an output pixel of either parity in x and y sees 2×2 pixels of the small picture, with weights that pack_conv has
// summed: four convolutions with taps 2×2 whose results interleave, 2.25 times less work.
//
// Otherwise as linear_sm90: the grid is as large as the card and walks over tiles; one thread (the producer) keeps a ring of
// steps in shared memory filled; two warpgroups take turns at whole tiles, so that one writes its results while the other
// multiplies. Two blocks make a cluster: they work on the same channels of neighbouring tiles, each copies half of the weights
// and both receive all of them. Limit: the tensor cores; where few channels come out, the copies.
#include "cuda/conv_sm90.h"

#include <algorithm>

#include "cuda/accumulators_sm90.cuh"
#include "cuda/elements.cuh"
#include "cuda/hopper.cuh"
#include "cuda/hopper_launch.h"

namespace fude::cuda {
namespace {

constexpr int kTileWidth = 8, kTileHeight = 16;
constexpr int kParts = kTileWidth * kTileHeight / 64;  // of a tile's pixels, as wgmma takes 64
constexpr int kPartHeight = 64 / kTileWidth;
constexpr int kConsumers = 2;
constexpr int kThreads = (1 + kConsumers) * kWarpgroup;
constexpr int kSharedBytes = 227 * 1024;

struct Convolution {
  CUtensorMap x;       // [n, height, width, in], boxes of what one column of taps sees of a tile
  CUtensorMap weight;  // [taps, out, in], boxes of a block's share of a tile's columns through one tap
  void* out;           // [n, rows, width of the result, out]
  const float* bias;
  int n, width;    // of x
  int begin, end;  // rows of the result
  int columns;     // channels of the result
  int slices;      // of the channels that go in
  int tiles_x, tiles_y, column_tiles;
  int tiles;  // of clusters
  bool accumulate;
};

// What differs between a plain convolution and an upsampling one, and between one to many channels and one to `columns` of them
// at most.
template <bool upsample, int columns_ = 128>
struct Window {
  static constexpr int columns = columns_;  // of a tile
  static constexpr int cluster = columns == 128 ? 2 : 1;
  static constexpr int taps = upsample ? 2 : 3;  // in each direction
  static constexpr int upscale = upsample ? 2 : 1;
  static constexpr int phases = upscale * upscale;  // of pixels of the result, by their parity
  static constexpr int x_bytes = kTileWidth * (kTileHeight + taps - 1) * kSlice * 2;
  static constexpr int tap_bytes = columns * kSlice * 2;
  static constexpr int weight_bytes = taps * tap_bytes;
  static constexpr int stages = std::min(8, (kSharedBytes - 1024) / (x_bytes + weight_bytes));
  static_assert(x_bytes % 1024 == 0 && tap_bytes % 1024 == 0, "swizzled tiles begin at multiples of 1024 bytes");
};

template <class Window>
struct Ring {
  char x[Window::stages][Window::x_bytes];
  char weight[Window::stages][Window::weight_bytes];  // tap by tap
  Barrier full[Window::stages], empty[Window::stages];
};

// The first row of the picture that row `row` of the result, or one after it, is made for in this parity.
template <class Window>
__host__ __device__ inline int source_row(int row, int parity) {
  return (row - parity + Window::upscale - 1) / Window::upscale;
}

struct Place {
  int n, y, x;  // the tile's first pixel, counted in the picture that goes in; n may be past the last picture
  int column;
  int phase, odd_y, odd_x;
};

// Channels and phases of one pair of tiles follow one another, so that its pixels are still in the L2 cache.
template <class Window>
__device__ inline Place place_of(const Convolution& c, int tile, int rank) {
  const int column = tile % c.column_tiles, phase = tile / c.column_tiles % Window::phases;
  const int pixels = tile / c.column_tiles / Window::phases * Window::cluster + rank;
  const int tile_x = pixels % c.tiles_x, row = pixels / c.tiles_x, n = row / c.tiles_y, odd_y = phase / 2;
  return {n,
          source_row<Window>(c.begin, odd_y) + (row - n * c.tiles_y) * kTileHeight,
          tile_x * kTileWidth,
          column * Window::columns,
          phase,
          odd_y,
          phase % 2};
}

template <class Window>
__device__ void produce(const Convolution& c, Ring<Window>& ring, int first, int step, int rank) {
  constexpr int kShare = Window::columns / Window::cluster;
  constexpr uint16_t kAll = (1 << Window::cluster) - 1;
  Cursor<Window::stages> cursor;
  for (int tile = first; tile < c.tiles; tile += step) {
    const Place place = place_of<Window>(c, tile, rank);
    const int x = place.x - 1 + place.odd_x, y = place.y - 1 + place.odd_y;  // of the first tap
    for (int slice = 0; slice < c.slices; slice++) {
      for (int kx = 0; kx < Window::taps; kx++, cursor.advance()) {
        const int stage = cursor.stage, channel = slice * kSlice;
        Barrier* full = &ring.full[stage];
        wait(&ring.empty[stage], cursor.parity ^ 1);
        arrive_expecting(full, Window::x_bytes + Window::weight_bytes);
        copy_box(ring.x[stage], &c.x, channel, x + kx, y, place.n, full);
#pragma unroll
        for (int ky = 0; ky < Window::taps; ky++) {
          const int tap = (place.phase * Window::taps + ky) * Window::taps + kx;
          char* const to = ring.weight[stage] + ky * Window::tap_bytes + rank * kShare * kSlice * 2;
          const int column = place.column + rank * kShare;
          if constexpr (Window::cluster == 1) copy_box(to, &c.weight, channel, column, tap, full);
          else copy_box_to_all(to, &c.weight, channel, column, tap, full, kAll);
        }
      }
    }
  }
}

template <class Window>
__device__ inline void release(Ring<Window>& ring, int stage) {
  const int lane = threadIdx.x % kWarp;
  if (lane < Window::cluster) arrive_at(&ring.empty[stage], lane);
}

template <class T, class Window>
__device__ inline void multiply_step(Ring<Window>& ring, const Cursor<Window::stages>& cursor,
                                     float (&sums)[kParts][Window::columns / 2]) {
  // In units of 16 bytes: 16 elements of K, a row of the tile's pixels, 64 of its pixels, a tap's weights.
  constexpr int kStep = 16 * 2 / 16, kRow = kTileWidth * kSlice * 2 / 16, kPart = kPartHeight * kRow,
                kTap = Window::tap_bytes / 16;
  wait(&ring.full[cursor.stage], cursor.parity);
  const uint64_t x = describe_tile(ring.x[cursor.stage]);
  const uint64_t weight = describe_tile(ring.weight[cursor.stage]);
  begin_products();
#pragma unroll
  for (int ky = 0; ky < Window::taps; ky++) {
#pragma unroll
    for (int k = 0; k < kSlice / 16; k++) {
#pragma unroll
      for (int part = 0; part < kParts; part++)
        multiply_add<T, Window::columns>(sums[part], x + ky * kRow + part * kPart + k * kStep, weight + ky * kTap + k * kStep);
    }
  }
  commit_products();
}

// The same as store_narrow for those of eight columns that exist, one by one, with their bias.
template <class T>
__device__ inline void store_few(const Convolution& c, const float (&sums)[4], T* out, int64_t eight_rows, int rows) {
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const int h = i / 2, column = 2 * (static_cast<int>(threadIdx.x) % 4) + i % 2;
    if (8 * h >= rows || column >= c.columns) continue;
    T* const to = out + h * eight_rows + column;
    const float y = sums[i] + (c.bias ? __ldg(c.bias + column) : 0.0f);
    *to = from_float<T>(c.accumulate ? to_float(*to) + y : y);
  }
}

// Stores the sums of one part of a tile, eight rows of eight pixels, the first of which is row y of the picture that goes in.
template <class T, class Window, int size>
__device__ inline void finish(const Convolution& c, const float (&sums)[size], const Place& place, int y) {
  const int pixel = threadIdx.x % kWarpgroup / kWarp * 16 + threadIdx.x % kWarp / 4;  // the thread's other one lies below it
  const int x = place.x + pixel % kTileWidth;
  y += pixel / kTileWidth;
  const bool inside = x < c.width && place.n < c.n;
  const int rows = inside ? (source_row<Window>(c.end, place.odd_y) - y) * kTileWidth : 0;
  const int64_t width = int64_t{Window::upscale} * c.width;
  const int64_t row = int64_t{place.n} * (c.end - c.begin) + Window::upscale * y + place.odd_y - c.begin;
  const int64_t below = Window::upscale * width * c.columns;
  T* out = static_cast<T*>(c.out) + (row * width + Window::upscale * x + place.odd_x) * c.columns + place.column;
  if constexpr (Window::columns == 8) store_few(c, sums, out, below, rows);
  else if (c.accumulate) store_narrow<true>(sums, out, below, rows, c.columns - place.column);
  else store_narrow<false>(sums, out, below, rows, c.columns - place.column);
}

template <class T, class Window>
__device__ void consume(const Convolution& c, Ring<Window>& ring, int first, int step, int rank, int consumer) {
  constexpr int kTurn = 1;  // and the next: barriers of the consumers' turns
  if (consumer == 1) arrive_threads(kTurn, 2 * kWarpgroup);
  const int steps = c.slices * Window::taps;
  Cursor<Window::stages> cursor;
  int turn = 0;
  for (int tile = first; tile < c.tiles; tile += step, turn ^= 1) {
    if (turn != consumer) {
      cursor.advance(steps);
      continue;
    }
    const Place place = place_of<Window>(c, tile, rank);
    float sums[kParts][Window::columns / 2];
    start_sums(sums, Window::columns == 8 ? nullptr : c.bias, place.column, c.columns);
    sync_threads(kTurn + consumer, 2 * kWarpgroup);
    multiply_step<T>(ring, cursor, sums);
    for (int i = 1; i < steps; i++) {
      const int previous = cursor.stage;
      cursor.advance();
      multiply_step<T>(ring, cursor, sums);
      wait_products<1>();
      release(ring, previous);
    }
    arrive_threads(kTurn + (consumer ^ 1), 2 * kWarpgroup);
    wait_products<0>();
    release(ring, cursor.stage);
    cursor.advance();
#pragma unroll
    for (int part = 0; part < kParts; part++) finish<T, Window>(c, sums[part], place, place.y + part * kPartHeight);
  }
}

template <class T, class Window>
__global__ void __launch_bounds__(kThreads, 1) conv_sm90_kernel(const __grid_constant__ Convolution c) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ __align__(1024) char shared[];
  Ring<Window>& ring = *reinterpret_cast<Ring<Window>*>(shared);
  const int rank = Window::cluster > 1 ? static_cast<int>(rank_in_cluster()) : 0;
  const int first = static_cast<int>(blockIdx.x) / Window::cluster, step = static_cast<int>(gridDim.x) / Window::cluster;
  if (threadIdx.x == 0) {
    prefetch_map(&c.x);
    prefetch_map(&c.weight);
    for (int stage = 0; stage < Window::stages; stage++) {
      init(&ring.full[stage], 1);
      init(&ring.empty[stage], Window::cluster * kWarpgroup / kWarp);
    }
    publish_barriers();
  }
  sync_cluster();

  const int warpgroup = __shfl_sync(~0u, static_cast<int>(threadIdx.x) / kWarpgroup, 0);
  if (warpgroup == 0) {
    lower_registers<40>();
    if (threadIdx.x == 0) produce<Window>(c, ring, first, step, rank);
    __syncwarp();
  } else {
    raise_registers<232>();
    consume<T, Window>(c, ring, first, step, rank, warpgroup - 1);
  }
  sync_cluster();  // the other block may still write to this one's memory
#else
  __trap();
#endif
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <class Window>
Convolution describe(const ConvArgs& args) {
  const int64_t in = args.shape.in, out = args.shape.out;
  constexpr int kTaps = Window::phases * Window::taps * Window::taps;
  Convolution c = {};
  c.x = tensor_map(args.dtype, args.x,
                   {{in, 1, kSlice},
                    {args.width, in, kTileWidth},
                    {args.height, args.width * in, kTileHeight + Window::taps - 1},
                    {args.n, args.height * args.width * in, 1}},
                   "a convolution's picture");
  c.weight = tensor_map(args.dtype, args.weight,
                        {{in, 1, kSlice}, {out, kTaps * in, Window::columns / Window::cluster}, {kTaps, in, 1}},
                        "a convolution's weight");
  c.out = args.out;
  c.bias = args.bias;
  c.n = static_cast<int>(args.n);
  c.width = static_cast<int>(args.width);
  c.begin = static_cast<int>(args.begin);
  c.end = static_cast<int>(args.end);
  c.columns = static_cast<int>(out);
  c.slices = static_cast<int>(in / kSlice);
  c.tiles_x = static_cast<int>(ceil_div(args.width, kTileWidth));
  c.tiles_y = static_cast<int>(ceil_div(ceil_div(args.end - args.begin, Window::upscale), kTileHeight));
  c.column_tiles = static_cast<int>(ceil_div(out, Window::columns));
  c.tiles = static_cast<int>(ceil_div(int64_t{c.n} * c.tiles_y * c.tiles_x, Window::cluster)) * Window::phases * c.column_tiles;
  c.accumulate = args.accumulate;
  return c;
}

template <class T, class Window>
void launch(const Card& card, cudaStream_t stream, const ConvArgs& args) {
  constexpr int kBytes = sizeof(Ring<Window>);
  static_assert(kBytes <= kSharedBytes);
  const Convolution c = describe<Window>(args);
  if (c.tiles == 0) return;
  launch_clusters(card, stream, conv_sm90_kernel<T, Window>, c, c.tiles, Window::cluster, kThreads, kBytes,
                  "starting a convolution");
}

template <class T>
void launch(const Card& card, cudaStream_t stream, const ConvArgs& args) {
  if (args.shape.out <= 8) launch<T, Window<false, 8>>(card, stream, args);
  else if (args.shape.upsample) launch<T, Window<true>>(card, stream, args);
  else launch<T, Window<false>>(card, stream, args);
}

}  // namespace

bool conv_sm90_takes(const Card& card, const ConvArgs& args) {
  return card.capability == 90 && (args.dtype == DType::f16 || args.dtype == DType::bf16) && args.shape.kernel == 3 &&
         args.stride == 1 && args.shape.in % kSlice == 0 &&
         (args.shape.out % 64 == 0 || (args.shape.out <= 8 && !args.shape.upsample));
}

void conv_sm90(const Card& card, cudaStream_t stream, const ConvArgs& args) {
  if (args.dtype == DType::f16) launch<__half>(card, stream, args);
  else launch<__nv_bfloat16>(card, stream, args);
}

}  // namespace fude::cuda
