// Linears on tensor cores through mma.sync: grouped GEMMs, and split-K for small ones.
#include <algorithm>

#include "cuda/gemm_tiling.h"
#include "cuda/linear_kernels.h"
#include "cuda/linear_operands.h"

namespace fude::cuda {

FUDE_KERNELS(linear_mma, FUDE_LINEAR_MMA_KERNELS)

namespace {

static_assert(kMaxLinears <= kMaxProblems);

template <class T>
Problem<T, MatrixOperand<T>> problem(const LinearArgs& args) {
  return {operand<T>(args.x), weight_operand<T>(args), epilogue(args)};
}

GemmSize size(const LinearArgs& args) {
  return {static_cast<int>(args.out.batches * args.out.rows), static_cast<int>(args.out.columns),
          static_cast<int>(args.x.columns)};
}

// ---- split-K ---------------------------------------------------------------------------------------------------------------

using SplitTile = SmallTile;
constexpr int kMinKTiles = 4;  // of a split: fewer take longer to start than to run

int split_count(const Card& card, const LinearArgs& args) {
  const GemmSize s = size(args);
  const int tiles = ceil_div(s.rows, SplitTile::kM) * ceil_div(s.columns, SplitTile::kN);
  const int slots = card.multiprocessors * occupancy<SplitTile>(card);  // of blocks on the GPU
  return std::max(1, std::min(slots / tiles, ceil_div(s.k, SplitTile::kK) / kMinKTiles));
}

template <class T>
void linear_split_k_of(const Card& card, CUstream stream, const LinearArgs& args, float* partial) {
  Problem<T, MatrixOperand<T>> split = problem<T>(args);
  const Epilogue whole = split.out;
  Epilogue& partial_out = split.out = {};
  partial_out.data = partial;
  partial_out.f32 = true;
  partial_out.rows = partial_out.batch_rows = whole.rows;
  partial_out.columns = whole.columns;
  partial_out.row_stride = whole.columns;
  partial_out.split_stride = int64_t{whole.rows} * whole.columns;
  partial_out.vectors = whole.columns % 4 == 0;
  split.splits = split_count(card, args);
  gemm<T, SplitTile>(card, stream, &split, 1);
  const int threads = whole.rows * ceil_div(whole.columns, 8);
  launch(stream, {ceil_div(threads, ReduceSplitsKernel<T>::kThreads)}, ReduceSplitsKernel<T>{partial, split.splits, whole},
         "adding up parts of a matrix product");
}

// ---- grouped GEMM ----------------------------------------------------------------------------------------------------------

template <class T>
void linear_mma_of(const Card& card, CUstream stream, const LinearArgs* args, int count) {
  Problem<T, MatrixOperand<T>> problems[kMaxLinears];
  GemmSize sizes[kMaxLinears];
  for (int i = 0; i < count; ++i) problems[i] = problem<T>(args[i]), sizes[i] = size(args[i]);
  const bool heads = std::any_of(args, args + count, [](const LinearArgs& a) { return a.norms.query != nullptr; });
  with_tile(card, sizes, count, heads, [&](auto tile) {
    using Tile = decltype(tile);
    gemm<T, Tile>(card, stream, problems, count);
  });
}

}  // namespace

int64_t linear_split_k_workspace(const Card& card, const LinearArgs& args) {
  const GemmSize s = size(args);
  const int count = s.rows > 0 && s.columns > 0 ? split_count(card, args) : 1;
  return count == 1 ? 0 : int64_t{count} * s.rows * s.columns * size_of(DType::f32);
}

void linear_split_k(const Card& card, CUstream stream, const LinearArgs& args, void* workspace) {
  float* partial = static_cast<float*>(workspace);
  if (args.x.dtype == DType::f16) linear_split_k_of<Half>(card, stream, args, partial);
  else linear_split_k_of<BFloat16>(card, stream, args, partial);
}

void linear_mma(const Card& card, CUstream stream, const LinearArgs* args, int count) {
  if (args->x.dtype == DType::f16) linear_mma_of<Half>(card, stream, args, count);
  else linear_mma_of<BFloat16>(card, stream, args, count);
}

}  // namespace fude::cuda
