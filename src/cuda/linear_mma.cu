// Linears on tensor cores, for cards from sm_75 on.
#include "cuda/linear_kernels.h"
#include "cuda/linear_params.cuh"
#include "cuda/product_tiles.cuh"

namespace fude::cuda {

namespace {

template <class T>
void linear_mma_of(const Card& card, cudaStream_t stream, const LinearArgs& args) {
  with_tile(card, args.out.batches * args.out.rows, args.out.columns, [&](auto tile) {
    using Tile = decltype(tile);
    product<T, Tile, MatrixRows<T, Tile::kRowsA>>(card, stream, operand<T>(args.x), weight_operand<T>(args), output(args));
  });
}

}  // namespace

void linear_mma(const Card& card, cudaStream_t stream, const LinearArgs& args) {
  if (args.x.dtype == DType::f16) linear_mma_of<__half>(card, stream, args);
  else linear_mma_of<__nv_bfloat16>(card, stream, args);
}

}  // namespace fude::cuda
