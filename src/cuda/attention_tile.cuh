// What the flash-attention kernels share: swizzled tiles of 128-byte rows, and parts of the online softmax.
#pragma once

#include <cmath>
#include <cstdint>

#include "cuda/attention_params.h"
#include "cuda/ceil_div.h"
#include "cuda/elements.cuh"
#include "cuda/mma.cuh"

namespace fude::cuda {

// Of the rows of a tile, each eight chunks of 16 bytes, XOR-swizzled by the row's number, so that
// the eight rows ldmatrix reads at once lie in different banks.
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
