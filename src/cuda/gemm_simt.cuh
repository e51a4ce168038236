// SIMT GEMM, out = A·Bᵀ, in f32 without tensor cores: for f32 operands, and for every shape and alignment that 16-byte copies
// cannot take.
//
// A block of 256 threads owns a tile of 128×128 accumulators, 8×8 a thread, and loops over k-tiles of 16: the next one is
// prefetched into registers while this one is multiplied from shared memory, where it lies transposed. Limit: f32 arithmetic.
#pragma once

#include <type_traits>

#include "cuda/ceil_div.h"
#include "cuda/gemm_epilogue.cuh"
#include "cuda/gemm_operands.cuh"
#include "cuda/gemm_params.h"

namespace fude::cuda {

// Rows of any type, stride and alignment, four elements at a time.
template <class T>
class AnyRows {
 public:
  using Params = MatrixOperand<T>;

  __device__ AnyRows(const Params& p, int row, int row_step, int k) : data_(p.data + k), left_(p.k - k) {
#pragma unroll
    for (int i = 0; i < kSimtRows; ++i) {
      const int m = min(row + i * row_step, p.rows - 1);
      const int batch = m / p.batch_rows;
      offset_[i] = batch * p.batch_stride + (m - batch * p.batch_rows) * p.row_stride;
    }
  }
  __device__ float4 load(int i) const {
    float v[4];
    load_elements(data_ + offset_[i], left_, false, v);
    return make_float4(v[0], v[1], v[2], v[3]);
  }
  __device__ void advance(int n) { data_ += n, left_ -= n; }

 private:
  const T* data_;
  int left_;
  int64_t offset_[kSimtRows];
};

template <class Operand>
__device__ float4 load_4(const Operand& from, int i) {
  if constexpr (requires { from.load(i); }) return from.load(i);
  else return from.valid(i) ? *reinterpret_cast<const float4*>(from.address(i)) : make_float4(0, 0, 0, 0);
}

// A k-tile of kSimtTile rows, transposed so that a thread finds neighbouring rows of one k together.
template <class Operand>
class SimtTile {
 public:
  __device__ SimtTile(const typename Operand::Params& p, int first)
      : from_(p, first + threadIdx.x / (kSimtK / 4), kSimtCopyRows, threadIdx.x % (kSimtK / 4) * 4) {}

  __device__ void prefetch() {
#pragma unroll
    for (int i = 0; i < kSimtRows; ++i) prefetched_[i] = load_4(from_, i);
    from_.advance(kSimtK);
  }
  __device__ void put(float (&to)[kSimtK][kSimtTile + 4]) const {
    const int k = threadIdx.x % (kSimtK / 4) * 4;
#pragma unroll
    for (int i = 0; i < kSimtRows; ++i) {
      const int row = threadIdx.x / (kSimtK / 4) + i * kSimtCopyRows;
      to[k][row] = prefetched_[i].x;
      to[k + 1][row] = prefetched_[i].y;
      to[k + 2][row] = prefetched_[i].z;
      to[k + 3][row] = prefetched_[i].w;
    }
  }

 private:
  Operand from_;
  float4 prefetched_[kSimtRows];
};

// A thread's fragment: rows 4·lane … 4·lane + 3 of both halves of a tile, at one k.
__device__ inline void load_fragment(const float (&row)[kSimtTile + 4], int lane, float (&v)[8]) {
  *reinterpret_cast<float4*>(v) = *reinterpret_cast<const float4*>(row + lane * 4);
  *reinterpret_cast<float4*>(v + 4) = *reinterpret_cast<const float4*>(row + kSimtTile / 2 + lane * 4);
}

template <class T, class Left, bool any>
__device__ __forceinline__ void run(const SimtGemmKernel<T, Left, any>& kernel) {
  using A = std::conditional_t<any, AnyRows<T>, typename LoaderOf<Left, kSimtRows>::Type>;
  using B = std::conditional_t<any, AnyRows<T>, MatrixRows<T, kSimtRows>>;
  const auto& [a, b, out] = kernel;
  __shared__ __align__(16) float tiles[2][2][kSimtK][kSimtTile + 4];
  const int tiles_n = ceil_div(out.columns, kSimtTile);
  const int first_m = blockIdx.x / tiles_n * kSimtTile, first_n = blockIdx.x % tiles_n * kSimtTile;
  const int lane_n = threadIdx.x % 16, lane_m = threadIdx.x / 16, k_tiles = ceil_div(b.k, kSimtK);
  SimtTile<A> tile_a(a, first_m);
  SimtTile<B> tile_b(b, first_n);

  float acc[8][8] = {};
  tile_a.prefetch();
  tile_b.prefetch();
  for (int k_tile = 0; k_tile < k_tiles; ++k_tile) {
    auto& current = tiles[k_tile % 2];
    tile_a.put(current[0]);
    tile_b.put(current[1]);
    __syncthreads();
    if (k_tile + 1 < k_tiles) {
      tile_a.prefetch();
      tile_b.prefetch();
    }
#pragma unroll
    for (int k = 0; k < kSimtK; ++k) {
      float x[8], y[8];
      load_fragment(current[0][k], lane_m, x);
      load_fragment(current[1][k], lane_n, y);
#pragma unroll
      for (int i = 0; i < 8; ++i)
#pragma unroll
        for (int j = 0; j < 8; ++j) acc[i][j] += x[i] * y[j];
    }
  }

#pragma unroll
  for (int i = 0; i < 8; ++i)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float v[4] = {acc[i][half * 4], acc[i][half * 4 + 1], acc[i][half * 4 + 2], acc[i][half * 4 + 3]};
      apply<T, 1>(out, 0, first_m + i / 4 * (kSimtTile / 2) + lane_m * 4 + i % 4, first_n + half * (kSimtTile / 2) + lane_n * 4,
                  v);
    }
}

}  // namespace fude::cuda
