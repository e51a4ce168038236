// Linears on tensor cores, for cards from sm_75 on.
#include "cuda/gemm_tiling.cuh"
#include "cuda/linear_kernels.h"
#include "cuda/linear_params.cuh"

namespace fude::cuda {

namespace {

template <class T>
Problem<T, MatrixOperand<T>> problem(const LinearArgs& args) {
  return {operand<T>(args.x), weight_operand<T>(args), output(args)};
}

ProductSize size(const LinearArgs& args) {
  return {static_cast<int>(args.out.batches * args.out.rows), static_cast<int>(args.out.columns),
          static_cast<int>(args.x.columns)};
}

// ---- sums in parts ---------------------------------------------------------------------------------------------------------

using PartTile = SmallTile;
constexpr int kLeastSteps = 4;  // of a part: fewer take longer to start than to run

int parts(const Card& card, const LinearArgs& args) {
  const ProductSize s = size(args);
  const int tiles = ceil_div(s.rows, PartTile::kM) * ceil_div(s.columns, PartTile::kN);
  const int places = card.multiprocessors * blocks_at_once<PartTile>(card);
  return std::max(1, std::min(places / tiles, ceil_div(s.k, PartTile::kK) / kLeastSteps));
}

// Adds up the parts in order; eight columns a thread.
template <class T>
__global__ void add_parts_kernel(const float* sums, int parts, const __grid_constant__ Output out) {
  const int lanes = (out.columns + 7) / 8, index = blockIdx.x * blockDim.x + threadIdx.x, m = index / lanes,
            n = (index - m * lanes) * 8;
  if (m >= out.rows) return;
  const int64_t part_stride = int64_t{out.rows} * out.columns;
  const float* from = sums + int64_t{m} * out.columns + n;
  const bool vectors = out.columns % 4 == 0 && n + 8 <= out.columns;
  float v[8] = {};
  for (int part = 0; part < parts; ++part) {
    float other[8];
    load_elements(from + part * part_stride, out.columns - n, vectors, other);
#pragma unroll
    for (int i = 0; i < 8; ++i) v[i] += other[i];
  }
  out.finish<T, 1>(0, m, n, v);
}

template <class T>
void linear_parts_of(const Card& card, cudaStream_t stream, const LinearArgs& args, float* sums) {
  constexpr int kThreads = 128;
  Problem<T, MatrixOperand<T>> in_parts = problem<T>(args);
  const Output whole = in_parts.out;
  Output& part = in_parts.out = {};
  part.data = sums;
  part.f32 = true;
  part.rows = part.batch_rows = whole.rows;
  part.columns = whole.columns;
  part.row_stride = whole.columns;
  part.part_stride = int64_t{whole.rows} * whole.columns;
  part.vectors = whole.columns % 4 == 0;
  in_parts.parts = parts(card, args);
  product<T, PartTile, MatrixRows<T, PartTile::kRowsA>, kMaxLinears>(card, stream, &in_parts, 1);
  const int threads = whole.rows * ceil_div(whole.columns, 8);
  add_parts_kernel<T><<<ceil_div(threads, kThreads), kThreads, 0, stream>>>(sums, in_parts.parts, whole);
  check(cudaGetLastError(), "adding up parts of a matrix product");
}

// ---- whole sums ------------------------------------------------------------------------------------------------------------

template <class T>
void linear_mma_of(const Card& card, cudaStream_t stream, const LinearArgs* args, int count) {
  Problem<T, MatrixOperand<T>> problems[kMaxLinears];
  ProductSize sizes[kMaxLinears];
  for (int i = 0; i < count; ++i) problems[i] = problem<T>(args[i]), sizes[i] = size(args[i]);
  const bool heads = std::any_of(args, args + count, [](const LinearArgs& a) { return a.norms.query != nullptr; });
  with_tile(card, sizes, count, heads, [&](auto tile) {
    using Tile = decltype(tile);
    product<T, Tile, MatrixRows<T, Tile::kRowsA>, kMaxLinears>(card, stream, problems, count);
  });
}

}  // namespace

int64_t linear_parts_workspace(const Card& card, const LinearArgs& args) {
  const ProductSize s = size(args);
  const int count = s.rows > 0 && s.columns > 0 ? parts(card, args) : 1;
  return count == 1 ? 0 : int64_t{count} * s.rows * s.columns * size_of(DType::f32);
}

void linear_parts(const Card& card, cudaStream_t stream, const LinearArgs& args, void* workspace) {
  float* sums = static_cast<float*>(workspace);
  if (args.x.dtype == DType::f16) linear_parts_of<__half>(card, stream, args, sums);
  else linear_parts_of<__nv_bfloat16>(card, stream, args, sums);
}

void linear_mma(const Card& card, cudaStream_t stream, const LinearArgs* args, int count) {
  if (args->x.dtype == DType::f16) linear_mma_of<__half>(card, stream, args, count);
  else linear_mma_of<__nv_bfloat16>(card, stream, args, count);
}

}  // namespace fude::cuda
