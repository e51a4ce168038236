// Linears on tensor cores through mma.sync, from sm_75 on: grouped GEMMs, and what adds up split-K's partial sums.
#include "cuda/gemm.cuh"
#include "cuda/kernel.cuh"

namespace fude::cuda {

namespace {

// Reduces the partial sums, always in the same order, and applies the epilogue; eight columns a thread.
template <class T>
__device__ __forceinline__ void run(const ReduceSplitsKernel<T>& kernel) {
  const auto& [partial, splits, out] = kernel;
  const int lanes = ceil_div(out.columns, 8), index = blockIdx.x * blockDim.x + threadIdx.x, m = index / lanes,
            n = (index - m * lanes) * 8;
  if (m >= out.rows) return;
  const int64_t split_stride = int64_t{out.rows} * out.columns;
  const float* from = partial + int64_t{m} * out.columns + n;
  const bool vectors = out.columns % 4 == 0 && n + 8 <= out.columns;
  float v[8] = {};
  for (int split = 0; split < splits; ++split) {
    float other[8];
    load_elements(from + split * split_stride, out.columns - n, vectors, other);
#pragma unroll
    for (int i = 0; i < 8; ++i) v[i] += other[i];
  }
  apply<T, 1>(out, 0, m, n, v);
}

}  // namespace

FUDE_LINEAR_MMA_KERNELS(FUDE_DEFINE_KERNEL)

}  // namespace fude::cuda
