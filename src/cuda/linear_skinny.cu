// Skinny GEMM (batched GEMV; modulation, pooled vectors): y = x·Wᵀ for few rows of x, every element of W read once.
//
// A block owns 16 rows of W; its warps split k, 32 at a time each, and reduce their accumulators in order at the end. W goes
// from global memory straight into mma fragments: the sum over k may run in any order, so a lane's 16 neighbouring bytes serve
// as its fragments of two mma, in W and x alike. Limit: memory bandwidth.
#include "cuda/gemm_epilogue.cuh"
#include "cuda/gemm_operands.cuh"
#include "cuda/kernel.cuh"
#include "cuda/linear_skinny_params.h"
#include "cuda/mma.cuh"

namespace fude::cuda {

namespace {

constexpr int kWarps = kSkinnyWarps, kThreads = 32 * kWarps;
constexpr int kOutputs = kSkinnyOutputs;
constexpr int kSpan = 32;  // of k, by one warp at once
constexpr int kAhead = 4;  // spans of W in flight in each warp

template <class T>
__device__ uint4 chunk(const T* from, bool valid) {
  return valid ? __ldg(reinterpret_cast<const uint4*>(from)) : make_uint4(0, 0, 0, 0);
}

template <class T, int kTiles>
__device__ __forceinline__ void run(const SkinnyKernel<T, kTiles>& kernel) {
  const auto& [x, w, out] = kernel;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, first = blockIdx.x * kOutputs;
  const int k = warp * kSpan + lane % 4 * 8;
  MatrixRows<T, 2> from_w(w, first + lane / 4, 8, k);
  MatrixRows<T, kTiles> from_x(x, lane / 4, 8, k);

  float acc[kTiles][4] = {};
  for (int done = 0; done < w.k; done += kAhead * kWarps * kSpan) {
    uint4 upper[kAhead], lower[kAhead];
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      upper[i] = chunk(from_w.address(0), from_w.valid(0));
      lower[i] = chunk(from_w.address(1), from_w.valid(1));
      from_w.advance(kWarps * kSpan);
    }
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      const uint32_t left[4] = {upper[i].x, lower[i].x, upper[i].y, lower[i].y};
      const uint32_t right[4] = {upper[i].z, lower[i].z, upper[i].w, lower[i].w};
#pragma unroll
      for (int t = 0; t < kTiles; ++t) {
        const uint4 rows = chunk(from_x.address(t), from_x.valid(t));
        mma_16x8x16<T>(acc[t], left, rows.x, rows.y);
        mma_16x8x16<T>(acc[t], right, rows.z, rows.w);
      }
      from_x.advance(kWarps * kSpan);
    }
  }

  __shared__ float partial[kWarps][8 * kTiles][kOutputs];  // [][row of x][row of W]
#pragma unroll
  for (int t = 0; t < kTiles; ++t)
#pragma unroll
    for (int i = 0; i < 4; ++i) partial[warp][t * 8 + lane % 4 * 2 + i % 2][lane / 4 + i / 2 * 8] = acc[t][i];
  __syncthreads();
  for (int i = threadIdx.x; i < 8 * kTiles * kOutputs / 2; i += kThreads) {
    const int m = i / (kOutputs / 2), n = i % (kOutputs / 2) * 2;
    float v[2] = {};
    for (int each = 0; each < kWarps; ++each) v[0] += partial[each][m][n], v[1] += partial[each][m][n + 1];
    apply<T, 1>(out, 0, m, first + n, v);
  }
}

}  // namespace

FUDE_LINEAR_SKINNY_KERNELS(FUDE_DEFINE_KERNEL)

}  // namespace fude::cuda
