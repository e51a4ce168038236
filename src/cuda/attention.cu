// Attention without tensor cores, which takes every call.
//
// Flash attention, out = softmax(scale·q·kᵀ + bias)·v, in f32 for any head size, alignment and dtype. A
// block owns 64 queries of one head and 64 columns of the output and loops over tiles of 64 keys with an online softmax
// (running max and sum); 256 threads each hold 4×4 scores and 4×4 outputs. Wider heads have several column blocks, each of
// which computes the scores again: memory stays bounded and the code small, for the price of speed where heads are wide. Limit:
// f32 multiply-adds.
#include "cuda/attention_tile.cuh"
#include "cuda/kernel.cuh"

namespace fude::cuda {
namespace {

constexpr int kTile = kSimtAttentionTile;
constexpr int kStep = 32;                  // head columns of q·kᵀ at a time
constexpr int kPitch = kTile + 4;          // keeps float4 aligned
constexpr int kSide = kSimtAttentionSide;  // a thread has kTile / kSide = 4 rows and columns
constexpr int kThreads = kSide * kSide;

// c[4×4] += a[·×rows]ᵀ·b[·×columns] over `depth` rows of two shared tiles.
template <int depth>
__device__ inline void multiply_tiles(float (&c)[4][4], const float* a, const float* b, int row, int column) {
#pragma unroll 8
  for (int k = 0; k < depth; ++k) {
    const float4 x = *reinterpret_cast<const float4*>(a + k * kPitch + row);
    const float4 y = *reinterpret_cast<const float4*>(b + k * kPitch + column);
    const float xs[4] = {x.x, x.y, x.z, x.w}, ys[4] = {y.x, y.y, y.z, y.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) c[i][j] = fmaf(xs[i], ys[j], c[i][j]);
    }
  }
}

// Columns [first_column, first_column + kStep) of kTile rows, transposed; zeros outside.
template <class T>
__device__ inline void load_transposed(float* tile, const AttentionRows<T>& x, int64_t batch, int64_t head_column,
                                       int first_row, int rows, int first_column, int columns) {
  for (int i = static_cast<int>(threadIdx.x); i < kTile * kStep; i += kThreads) {
    const int row = i / kStep, column = i % kStep;
    const bool valid = first_row + row < rows && first_column + column < columns;
    tile[column * kPitch + row] = valid ? to_float(*x.at(batch, first_row + row, head_column + first_column + column)) : 0.0f;
  }
}

template <class T>
__device__ inline void load_values(float* tile, const AttentionRows<T>& x, int64_t batch, int64_t head_column, int first_row,
                                   int rows, int first_column, int columns) {
  for (int i = static_cast<int>(threadIdx.x); i < kTile * kTile; i += kThreads) {
    const int row = i / kTile, column = i % kTile;
    const bool valid = first_row + row < rows && first_column + column < columns;
    tile[row * kPitch + column] = valid ? to_float(*x.at(batch, first_row + row, head_column + first_column + column)) : 0.0f;
  }
}

// Over the sixteen lanes that share a row.
__device__ inline float row_max(float x) {
#pragma unroll
  for (int lanes = kSide / 2; lanes > 0; lanes /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, lanes));
  return x;
}
__device__ inline float row_sum(float x) {
#pragma unroll
  for (int lanes = kSide / 2; lanes > 0; lanes /= 2) x += __shfl_xor_sync(0xffffffffu, x, lanes);
  return x;
}

template <class T>
__device__ __forceinline__ void run(const AttentionSimtKernel<T>& kernel) {
  const AttentionCall<T>& call = kernel.call;
  __shared__ __align__(16) float probabilities[kTile * kPitch];  // [key][query]
  __shared__ __align__(16) float operands[kTile * kPitch];       // queries and keys [column][row], then values [key][column]
  float* const query_tile = operands;
  float* const key_tile = operands + kStep * kPitch;

  const int column = static_cast<int>(threadIdx.x) % kSide * 4, row = static_cast<int>(threadIdx.x) / kSide * 4;
  const int column_blocks = ceil_div(call.head_dim, kTile);
  const int first_query = static_cast<int>(blockIdx.x) / column_blocks * kTile;
  const int first_column = static_cast<int>(blockIdx.x) % column_blocks * kTile;
  const int head = static_cast<int>(blockIdx.y), batch = static_cast<int>(blockIdx.z);
  const int64_t head_column = static_cast<int64_t>(head) * call.head_dim;

  float o[4][4] = {}, max[4], sum[4];
  for (int i = 0; i < 4; ++i) max[i] = -INFINITY, sum[i] = 0;

  const int visible = call.causal ? min(call.keys, first_query + kTile) : call.keys;
  for (int first_key = 0; first_key < visible; first_key += kTile) {
    float s[4][4] = {};
    for (int c = 0; c < call.head_dim; c += kStep) {
      __syncthreads();
      load_transposed(query_tile, call.q, batch, head_column, first_query, call.queries, c, call.head_dim);
      load_transposed(key_tile, call.k, batch, head_column, first_key, call.keys, c, call.head_dim);
      __syncthreads();
      multiply_tiles<kStep>(s, query_tile, key_tile, row, column);
    }

#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int query = first_query + row + i;
      float new_max = max[i];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int key = first_key + column + j;
        s[i][j] *= call.scale;
        if (key >= call.keys || (call.causal && key > query)) s[i][j] = -INFINITY;
        else if (call.bias && query < call.queries) {
          s[i][j] += call.bias[head * call.bias_head_stride + query * call.bias_query_stride + key];
        }
        new_max = fmaxf(new_max, s[i][j]);
      }
      new_max = row_max(new_max);
      const float rescale = expf(max[i] - new_max);
      max[i] = new_max;
      sum[i] *= rescale;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        o[i][j] *= rescale;
        const float probability = expf(s[i][j] - new_max);
        sum[i] += probability;
        probabilities[(column + j) * kPitch + row + i] = probability;
      }
    }
    __syncthreads();
    load_values(operands, call.v, batch, head_column, first_key, call.keys, first_column, call.head_dim);
    __syncthreads();
    multiply_tiles<kTile>(o, probabilities, operands, row, column);
  }

#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float inverse = 1.0f / row_sum(sum[i]);
    const int query = first_query + row + i;
    for (int j = 0; j < 4; ++j) {
      const int c = first_column + column + j;
      if (query < call.queries && c < call.head_dim) {
        *call.out.at(batch, query, head_column + c) = from_float<T>(o[i][j] * inverse);
      }
    }
  }
}

}  // namespace

FUDE_ATTENTION_KERNELS(FUDE_DEFINE_KERNEL)

}  // namespace fude::cuda
