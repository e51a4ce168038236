// out = A·Bᵀ without tensor cores, multiplied and summed in f32: products in f32, and every shape and alignment that 16-byte
// copies cannot take.
//
// A block of 256 threads owns 128×128 sums, 8×8 a thread, and walks along k in steps of 16; the next step's elements wait in
// registers while this one's lie in shared memory, k by k. Limit: f32 arithmetic.
#pragma once

#include "cuda/gemm_epilogue.cuh"
#include "cuda/gemm_operands.cuh"
#include "cuda/kernels.h"

namespace fude::cuda {

constexpr int kSimtTile = 128, kSimtK = 16, kSimtThreads = 256;
constexpr int kSimtStep = kSimtThreads / (kSimtK / 4),
              kSimtRows = kSimtTile / kSimtStep;  // rows brought at once, by each thread

// Rows of any type, stride and alignment, four elements at a time.
template <class T>
class AnyRows {
 public:
  using Params = MatrixOperand<T>;

  __device__ AnyRows(const Params& p, int row, int step, int k) : data_(p.data + k), left_(p.k - k) {
#pragma unroll
    for (int i = 0; i < kSimtRows; ++i) {
      const int m = min(row + i * step, p.rows - 1);
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

// kSimtTile rows of kSimtK elements, turned so that a thread finds neighbouring rows of one k together.
template <class Operand>
class SimtTile {
 public:
  __device__ SimtTile(const typename Operand::Params& p, int first)
      : from_(p, first + threadIdx.x / (kSimtK / 4), kSimtStep, threadIdx.x % (kSimtK / 4) * 4) {}

  __device__ void fetch() {
#pragma unroll
    for (int i = 0; i < kSimtRows; ++i) waiting_[i] = load_4(from_, i);
    from_.advance(kSimtK);
  }
  __device__ void put(float (&to)[kSimtK][kSimtTile + 4]) const {
    const int k = threadIdx.x % (kSimtK / 4) * 4;
#pragma unroll
    for (int i = 0; i < kSimtRows; ++i) {
      const int row = threadIdx.x / (kSimtK / 4) + i * kSimtStep;
      to[k][row] = waiting_[i].x;
      to[k + 1][row] = waiting_[i].y;
      to[k + 2][row] = waiting_[i].z;
      to[k + 3][row] = waiting_[i].w;
    }
  }

 private:
  Operand from_;
  float4 waiting_[kSimtRows];
};

// Rows 4·lane … 4·lane + 3 of both halves of a tile, at one k.
__device__ inline void take_8(const float (&row)[kSimtTile + 4], int lane, float (&v)[8]) {
  *reinterpret_cast<float4*>(v) = *reinterpret_cast<const float4*>(row + lane * 4);
  *reinterpret_cast<float4*>(v + 4) = *reinterpret_cast<const float4*>(row + kSimtTile / 2 + lane * 4);
}

template <class T, class A, class B>
__global__ void __launch_bounds__(kSimtThreads)
    simt_product_kernel(const __grid_constant__ typename A::Params a, const __grid_constant__ typename B::Params b,
                        const __grid_constant__ Output out) {
  __shared__ __align__(16) float tiles[2][2][kSimtK][kSimtTile + 4];
  const int tiles_n = (out.columns + kSimtTile - 1) / kSimtTile;
  const int first_m = blockIdx.x / tiles_n * kSimtTile, first_n = blockIdx.x % tiles_n * kSimtTile;
  const int lane_n = threadIdx.x % 16, lane_m = threadIdx.x / 16, steps = (b.k + kSimtK - 1) / kSimtK;
  SimtTile<A> tile_a(a, first_m);
  SimtTile<B> tile_b(b, first_n);

  float sum[8][8] = {};
  tile_a.fetch();
  tile_b.fetch();
  for (int step = 0; step < steps; ++step) {
    auto& now = tiles[step % 2];
    tile_a.put(now[0]);
    tile_b.put(now[1]);
    __syncthreads();
    if (step + 1 < steps) {
      tile_a.fetch();
      tile_b.fetch();
    }
#pragma unroll
    for (int k = 0; k < kSimtK; ++k) {
      float x[8], y[8];
      take_8(now[0][k], lane_m, x);
      take_8(now[1][k], lane_n, y);
#pragma unroll
      for (int i = 0; i < 8; ++i)
#pragma unroll
        for (int j = 0; j < 8; ++j) sum[i][j] += x[i] * y[j];
    }
  }

#pragma unroll
  for (int i = 0; i < 8; ++i)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float v[4] = {sum[i][half * 4], sum[i][half * 4 + 1], sum[i][half * 4 + 2], sum[i][half * 4 + 3]};
      out.finish<T, 1>(0, first_m + i / 4 * (kSimtTile / 2) + lane_m * 4 + i % 4, first_n + half * (kSimtTile / 2) + lane_n * 4,
                       v);
    }
}

template <class T, class A, class B>
void simt_product(cudaStream_t stream, const typename A::Params& a, const typename B::Params& b, const Output& out) {
  const int64_t tiles = int64_t{(out.rows + kSimtTile - 1) / kSimtTile} * ((out.columns + kSimtTile - 1) / kSimtTile);
  simt_product_kernel<T, A, B><<<static_cast<unsigned>(tiles), kSimtThreads, 0, stream>>>(a, b, out);
  check(cudaGetLastError(), "starting a product without tensor cores");
}

}  // namespace fude::cuda
