// Skinny GEMM (batched GEMV; modulation, pooled vectors): y = x·Wᵀ for few rows of x, every element of W read once.
//
// A block owns 16 rows of W; its warps split k, 32 at a time each, and reduce their accumulators in order at the end. W goes
// from global memory straight into mma fragments: the sum over k may run in any order, so a lane's 16 neighbouring bytes serve
// as its fragments of two mma, in W and x alike. Limit: memory bandwidth.
#include "cuda/ceil_div.h"
#include "cuda/linear_kernels.h"
#include "cuda/linear_params.cuh"
#include "cuda/mma.cuh"

namespace fude::cuda {

namespace {

constexpr int kWarps = 8, kThreads = 32 * kWarps;
constexpr int kOutputs = 16;  // of a block: rows of W
constexpr int kSpan = 32;     // of k, by one warp at once
constexpr int kAhead = 4;     // spans of W in flight in each warp

template <class T>
__device__ uint4 chunk(const T* from, bool valid) {
  return valid ? __ldg(reinterpret_cast<const uint4*>(from)) : make_uint4(0, 0, 0, 0);
}

template <class T, int kTiles>  // of 8 rows of x
__global__ void __launch_bounds__(kThreads)
    linear_skinny_kernel(const __grid_constant__ MatrixOperand<T> x, const __grid_constant__ MatrixOperand<T> w,
                         const __grid_constant__ Epilogue out) {
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
    out.apply<T, 1>(0, m, first + n, v);
  }
}

template <class T, int kTiles>
void launch(cudaStream_t stream, const LinearArgs& args) {
  const unsigned blocks = static_cast<unsigned>(ceil_div(args.out.columns, kOutputs));
  linear_skinny_kernel<T, kTiles><<<blocks, kThreads, 0, stream>>>(operand<T>(args.x), weight_operand<T>(args), epilogue(args));
  check(cudaGetLastError(), "starting a linear of few rows");
}

template <class T>
void linear_skinny_of(cudaStream_t stream, const LinearArgs& args) {
  const int64_t rows = args.out.batches * args.out.rows;
  if (rows <= 8) launch<T, 1>(stream, args);
  else if (rows <= 16) launch<T, 2>(stream, args);
  else launch<T, kSkinnyRows / 8>(stream, args);
}

}  // namespace

void linear_skinny(cudaStream_t stream, const LinearArgs& args) {
  if (args.x.dtype == DType::f16) linear_skinny_of<__half>(stream, args);
  else linear_skinny_of<__nv_bfloat16>(stream, args);
}

}  // namespace fude::cuda
