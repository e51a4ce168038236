// Flash attention with heads of 512 (the VAE's single one) on tensor cores through mma.sync: out = softmax(scale·q·kᵀ)·v.
//
// A block of eight warps owns 64 queries (32 where shared memory is 64 KiB) and keeps them in shared memory and their 512
// output columns in registers. Keys and values pass as chunks of 64 keys × 64 columns through a ring: for each tile of 64 keys
// eight chunks of keys accumulate the scores, then eight chunks of values each add to 64 output columns. The warps stand 2 × 4:
// rows of queries times columns of the chunk's GEMM; probabilities go from the warps that computed them to the others through
// shared memory. Limit: shared-memory bandwidth of q·kᵀ, then tensor cores.
#include "cuda/attention_tile.cuh"
#include "cuda/kernel.cuh"

namespace fude::cuda {
namespace {

constexpr int kHead = kWideHead, kKeys = kWideKeys, kChunks = kHead / kTileColumns;
constexpr int kWarpRows = kWideWarpRows, kWarpColumns = kWideWarpColumns, kThreads = kWarpRows * kWarpColumns * 32;
constexpr int kWarpKeys = kKeys / kWarpColumns;

// Row max and row sum across the four warps that share rows, each with its own keys.
template <class Shape>
struct RowExchange {
  float (*values)[Shape::kRows];  // [kWarpColumns]

  __device__ void put(int column, int row, float x) const {
    if (threadIdx.x % 4 == 0) values[column][row] = x;
  }
  __device__ float max(int row) const {
    return fmaxf(fmaxf(values[0][row], values[1][row]), fmaxf(values[2][row], values[3][row]));
  }
  __device__ float sum(int row) const { return (values[0][row] + values[1][row]) + (values[2][row] + values[3][row]); }
};

template <class T, class Shape>
__device__ __forceinline__ void run(const AttentionWideKernel<T, Shape>& kernel) {
  const AttentionCall<T>& call = kernel.call;
  extern __shared__ __align__(128) unsigned char shared[];
  T* const query_tiles = reinterpret_cast<T*>(shared);  // kChunks tiles of kRows × 64
  T* const ring = query_tiles + Shape::kRows * kHead;
  T* const probability_tile = ring + Shape::kStages * Shape::kChunk;
  const RowExchange<Shape> exchange{reinterpret_cast<float(*)[Shape::kRows]>(probability_tile + Shape::kRows * kKeys)};

  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int warp_column = warp % kWarpColumns, warp_row = warp / kWarpColumns * Shape::kRowTiles * 16;
  const int first_query = static_cast<int>(blockIdx.x) * Shape::kRows;
  const int head = static_cast<int>(blockIdx.y), batch = static_cast<int>(blockIdx.z);
  const T* const queries = call.q.at(batch, 0, head * kHead);
  const T* const keys = call.k.at(batch, 0, head * kHead);
  const T* const values = call.v.at(batch, 0, head * kHead);
  const int tiles = ceil_div(call.keys, kKeys), chunks = tiles * 2 * kChunks;

  int loaded = 0, used = 0;  // chunks, in the order keys 0…7, values 0…7 of every tile
  const auto load_next = [&] {
    if (loaded < chunks) {
      const int part = loaded % (2 * kChunks), column = part % kChunks * kTileColumns;
      const bool is_keys = part < kChunks;
      load_tile<kKeys, kThreads>(ring + loaded % Shape::kStages * Shape::kChunk, (is_keys ? keys : values) + column,
                                 is_keys ? call.k.row_stride : call.v.row_stride, loaded / (2 * kChunks) * kKeys, call.keys);
    }
    ++loaded;
    cp_async_commit();
  };
  // The next chunk, once every warp is done with the one whose stage is refilled.
  const auto next_chunk = [&]() -> const T* {
    cp_async_wait<Shape::kStages - 2>();
    __syncthreads();
    load_next();
    return ring + used++ % Shape::kStages * Shape::kChunk;
  };

  for (int c = 0; c < kChunks; ++c) {
    load_tile<Shape::kRows, kThreads>(query_tiles + c * Shape::kRows * kTileColumns, queries + c * kTileColumns,
                                      call.q.row_stride, first_query, call.queries);
  }
  for (int i = 0; i < Shape::kStages - 1; ++i) load_next();  // the queries belong to the first group

  float o[kChunks][Shape::kRowTiles][2][4] = {};
  float max[Shape::kRowTiles][2], sum[Shape::kRowTiles][2];  // running; sum is this lane's share
  for (int r = 0; r < Shape::kRowTiles; ++r) {
    for (int h = 0; h < 2; ++h) max[r][h] = -INFINITY, sum[r][h] = 0;
  }
  const float scale = call.scale * kLog2E;

  for (int tile = 0; tile < tiles; ++tile) {
    float s[Shape::kRowTiles][2][4] = {};
#pragma unroll 1
    for (int c = 0; c < kChunks; ++c) {
      const T* const chunk = next_chunk();
      const T* const query_tile = query_tiles + c * Shape::kRows * kTileColumns;
#pragma unroll
      for (int step = 0; step < 4; ++step) {
        uint32_t b[4];
        load_b(b, chunk, warp_column * kWarpKeys, step);
#pragma unroll
        for (int r = 0; r < Shape::kRowTiles; ++r) {
          uint32_t a[4];
          load_a(a, query_tile, warp_row + r * 16, step);
          mma_16x8x16<T>(s[r][0], a, b[0], b[1]);
          mma_16x8x16<T>(s[r][1], a, b[2], b[3]);
        }
      }
    }

    const int first_key = tile * kKeys + warp_column * kWarpKeys + lane % 4 * 2;
#pragma unroll
    for (int r = 0; r < Shape::kRowTiles; ++r) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        float new_max = -INFINITY;
#pragma unroll
        for (int c = 0; c < 2; ++c) {
#pragma unroll
          for (int e = 0; e < 2; ++e) {
            if (first_key + c * 8 + e >= call.keys) s[r][c][2 * h + e] = -INFINITY;
            new_max = fmaxf(new_max, s[r][c][2 * h + e]);
          }
        }
        exchange.put(warp_column, warp_row + r * 16 + h * 8 + lane / 4, quad_max(new_max));
      }
    }
    __syncthreads();
#pragma unroll
    for (int r = 0; r < Shape::kRowTiles; ++r) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const int row = warp_row + r * 16 + h * 8 + lane / 4;
        const float new_max = fmaxf(max[r][h], exchange.max(row));
        const float shift = new_max * scale;
        const float rescale = exp2_fast(max[r][h] * scale - shift);
        max[r][h] = new_max;
        sum[r][h] *= rescale;
#pragma unroll
        for (int c = 0; c < kChunks; ++c) {
#pragma unroll
          for (int n = 0; n < 2; ++n) o[c][r][n][2 * h] *= rescale, o[c][r][n][2 * h + 1] *= rescale;
        }
#pragma unroll
        for (int c = 0; c < 2; ++c) {
          const float low = exp2_fast(fmaf(s[r][c][2 * h], scale, -shift));
          const float high = exp2_fast(fmaf(s[r][c][2 * h + 1], scale, -shift));
          sum[r][h] += low + high;
          T* const pair = probability_tile + tile_offset(row, warp_column * 2 + c) + lane % 4 * 2;
          *reinterpret_cast<uint32_t*>(pair) = pack<T>(low, high);
        }
      }
    }

    uint32_t probabilities[Shape::kRowTiles][4][4];
#pragma unroll
    for (int c = 0; c < kChunks; ++c) {
      const T* const chunk = next_chunk();
      if (c == 0) {  // next_chunk's barrier was for the probabilities too
#pragma unroll
        for (int r = 0; r < Shape::kRowTiles; ++r) {
#pragma unroll
          for (int step = 0; step < 4; ++step) load_a(probabilities[r][step], probability_tile, warp_row + r * 16, step);
        }
      }
#pragma unroll
      for (int step = 0; step < 4; ++step) {
        uint32_t b[4];
        load_b_transposed(b, chunk, step * 16, warp_column);
#pragma unroll
        for (int r = 0; r < Shape::kRowTiles; ++r) {
          mma_16x8x16<T>(o[c][r][0], probabilities[r][step], b[0], b[1]);
          mma_16x8x16<T>(o[c][r][1], probabilities[r][step], b[2], b[3]);
        }
      }
    }
  }

#pragma unroll
  for (int r = 0; r < Shape::kRowTiles; ++r) {
#pragma unroll
    for (int h = 0; h < 2; ++h) exchange.put(warp_column, warp_row + r * 16 + h * 8 + lane / 4, quad_sum(sum[r][h]));
  }
  __syncthreads();
#pragma unroll
  for (int r = 0; r < Shape::kRowTiles; ++r) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int row = warp_row + r * 16 + h * 8 + lane / 4;
      if (first_query + row >= call.queries) continue;
      const float inverse = 1.0f / exchange.sum(row);
      T* const out = call.out.at(batch, first_query + row, head * kHead + warp_column * 16 + lane % 4 * 2);
#pragma unroll
      for (int c = 0; c < kChunks; ++c) {
#pragma unroll
        for (int n = 0; n < 2; ++n) {
          const float(&pair)[4] = o[c][r][n];
          *reinterpret_cast<uint32_t*>(out + c * kTileColumns + n * 8) =
              pack<T>(pair[2 * h] * inverse, pair[2 * h + 1] * inverse);
        }
      }
    }
  }
}

}  // namespace

FUDE_ATTENTION_WIDE_KERNELS(FUDE_DEFINE_KERNEL)

}  // namespace fude::cuda
