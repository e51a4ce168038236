// What the flash-attention kernels share: their arguments, swizzled tiles of 128-byte rows, and parts of the online softmax.
#pragma once

#include <cmath>
#include <cstdint>

#include "cuda/ceil_div.h"
#include "cuda/elements.cuh"
#include "cuda/kernels.h"
#include "cuda/mma.cuh"

namespace fude::cuda {

constexpr float kLog2E = 1.4426950408889634f;

template <class T>
struct AttentionRows {
  T* data;
  int64_t batch_stride, row_stride;

  explicit AttentionRows(const Matrix& m)
      : data(static_cast<T*>(m.data)), batch_stride(m.batch_stride), row_stride(m.row_stride) {}
  __device__ T* at(int64_t batch, int64_t row, int64_t column) const {
    return data + batch * batch_stride + row * row_stride + column;
  }
};

template <class T>
struct AttentionCall {
  AttentionRows<T> out, q, k, v;
  int queries, keys, heads, head_dim;
  float scale;
  bool causal;
  const float* bias;
  int64_t bias_head_stride, bias_query_stride;

  explicit AttentionCall(const AttentionArgs& args)
      : out(args.out),
        q(args.q),
        k(args.k),
        v(args.v),
        queries(static_cast<int>(args.q.rows)),
        keys(static_cast<int>(args.k.rows)),
        heads(static_cast<int>(args.heads)),
        head_dim(static_cast<int>(args.head_dim)),
        scale(args.scale),
        causal(args.causal),
        bias(args.bias),
        bias_head_stride(args.bias_head_stride),
        bias_query_stride(args.bias_query_stride) {}
};

// Tiles lie in shared memory as rows of 64 16-bit elements: eight chunks of 16 bytes, XOR-swizzled by the row's number, so that
// the eight rows ldmatrix reads at once lie in different banks.
constexpr int kTileColumns = 64;

__device__ inline int tile_offset(int row, int chunk) { return row * kTileColumns + ((chunk ^ (row & 7)) << 3); }

// Rows [first, first + kRows) of a matrix of `rows` rows; zeros past its end, since the memory there could hold NaN.
template <int kRows, int kThreads, class T>
__device__ inline void load_tile(T* tile, const T* source, int64_t row_stride, int first, int rows) {
  constexpr int kStep = kThreads / 8;  // rows that the threads copy at once
  static_assert(kStep % 8 == 0 && kRows % kStep == 0);
  const int row = static_cast<int>(threadIdx.x) / 8, chunk = static_cast<int>(threadIdx.x) % 8;
  source += (first + row) * row_stride + chunk * 8;
  tile += tile_offset(row, chunk);
#pragma unroll
  for (int i = 0; i < kRows; i += kStep) {
    cp_async_16(tile + i * kTileColumns, source + i * row_stride, first + row + i < rows);
  }
}

// Fragments of mma m16n8k16: A rows [row, row + 16) and columns [16·step, …) of a tile.
template <class T>
__device__ inline void load_a(uint32_t (&a)[4], const T* tile, int row, int step) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  ldmatrix_x4(a, tile + tile_offset(row + lane % 16, step * 2 + lane / 16));
}
// B for 16 output columns that are the tile's rows [row, row + 16), summed over the tile's columns [16·step, …).
template <class T>
__device__ inline void load_b(uint32_t (&b)[4], const T* tile, int row, int step) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  ldmatrix_x4(b, tile + tile_offset(row + lane / 16 * 8 + lane % 8, step * 2 + lane / 8 % 2));
}
// B for 16 output columns that are the tile's columns [16·step, …), summed over its rows [row, row + 16).
template <class T>
__device__ inline void load_b_transposed(uint32_t (&b)[4], const T* tile, int row, int step) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  ldmatrix_x4_trans(b, tile + tile_offset(row + lane % 16, step * 2 + lane / 16));
}

// The running max may lag this far (in base 2) behind the scores before the output is rescaled: probabilities stay below 2⁸,
// and rescaling, else a good part of the work, becomes rare.
constexpr float kRescaleThreshold = 8.0f;

// Over the four lanes that share the rows of an accumulator.
__device__ inline float quad_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
  return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}
__device__ inline float quad_sum(float x) {
  x += __shfl_xor_sync(0xffffffffu, x, 1);
  return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

}  // namespace fude::cuda
