// How Hopper's kernels start and store wgmma's accumulators. A thread's accumulators c[4·j + 2·h + e] belong to row 8·h and
// column 8·j + 2·(lane%4) + e, counted from its first row, 16·warp + lane/4, and the tile's first column.
#pragma once

#include "cuda/elements.cuh"
#include "cuda/hopper.cuh"

namespace fude::cuda {

// Four lanes hold the columns of a 4×4 matrix; afterwards they hold its rows.
__device__ inline void transpose(uint32_t (&r)[4]) {
#pragma unroll
  for (int bit = 1; bit <= 2; bit *= 2) {
    const bool upper = threadIdx.x & bit;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      if (i & bit) continue;
      const uint32_t other = __shfl_xor_sync(~0u, upper ? r[i] : r[i | bit], bit);
      r[i] = upper ? other : r[i];
      r[i | bit] = upper ? r[i | bit] : other;
    }
  }
}

// f(j, values) for each of a thread's pairs of columns of a row of `columns` f32. `count` of them exist, a multiple of 8; what
// lies past them is 0.
template <int columns, class F>
__device__ inline void for_pairs(const float* row, int count, F&& f) {
#pragma unroll
  for (int j = 0; j < columns / 8; j++)
    f(j, 8 * j < count ? __ldg(reinterpret_cast<const float2*>(row + 8 * j)) : make_float2(0, 0));
}

// Zeros, or the bias of the columns from the tile's first one on, so that the epilogue need not add it.
template <int atoms, int size>
__device__ inline void init_accumulators(float (&acc)[atoms][size], const float* bias, int column, int columns) {
#pragma unroll
  for (int atom = 0; atom < atoms; atom++)
#pragma unroll
    for (int i = 0; i < size; i++) acc[atom][i] = 0;
  if (bias) {
    for_pairs<2 * size>(bias + column + 2 * (threadIdx.x % 4), columns - column, [&](int j, float2 b) {
#pragma unroll
      for (int atom = 0; atom < atoms; atom++) {
        acc[atom][4 * j] = acc[atom][4 * j + 2] = b.x;
        acc[atom][4 * j + 1] = acc[atom][4 * j + 3] = b.y;
      }
    });
  }
#pragma unroll
  for (int atom = 0; atom < atoms; atom++) wgmma_fence_operand(acc[atom]);
}

// Stores the thread's two rows, which lie `eight_rows` apart, or adds them to the output. `rows` and `columns` exist from the
// thread's first row and the tile's first column on. Four lanes exchange their pairs so that each holds eight neighbouring
// columns: 16-byte accesses, 64 bytes of a row together.
template <bool accumulate, class T, int size>
__device__ inline void store_16bit(const float (&c)[size], T* out, int64_t eight_rows, int rows, int columns) {
  const int first_column = 8 * (threadIdx.x % 4);
  out += first_column;
#pragma unroll
  for (int h = 0; h < 2; h++, out += eight_rows) {
    const int valid = 8 * h < rows ? columns - first_column : 0;
#pragma unroll
    for (int i = 0; i < size / 16; i++) {
      uint32_t r[4];
#pragma unroll
      for (int j = 0; j < 4; j++) r[j] = pack<T>(c[16 * i + 4 * j + 2 * h], c[16 * i + 4 * j + 2 * h + 1]);
      transpose(r);
      if (32 * i >= valid) continue;
      if constexpr (accumulate) add_to(out + 32 * i, r);
      else *reinterpret_cast<uint4*>(out + 32 * i) = make_uint4(r[0], r[1], r[2], r[3]);
    }
  }
}

}  // namespace fude::cuda
