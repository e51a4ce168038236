// Chooses how a linear is multiplied, and does what needs no tensor cores.
#include "cuda/linear_kernels.h"
#include "cuda/linear_params.cuh"
#include "cuda/linear_sm90.h"
#include "cuda/product_simt.cuh"

namespace fude::cuda {

namespace {

// Whether x and the weight can be read 16 bytes at a time.
bool in_pieces(const LinearArgs& args) {
  return aligned(args.x) && aligned(args.weight) && args.x.columns * size_of(args.x.dtype) % 16 == 0;
}

void linear_simt(cudaStream_t stream, const LinearArgs& args) {
  if (args.x.dtype == DType::f32 && in_pieces(args)) {
    using Rows = MatrixRows<float, kSimtRows>;
    return simt_product<float, Rows, Rows>(stream, operand<float>(args.x), weight_operand<float>(args), output(args));
  }
  with_type(args.x.dtype, [&](auto zero) {
    using T = decltype(zero);
    simt_product<T, AnyRows<T>, AnyRows<T>>(stream, operand<T>(args.x), weight_operand<T>(args), output(args));
  });
}

}  // namespace

int64_t linear_workspace(const Card&, const LinearArgs&) { return 0; }

void linear(const Card& card, cudaStream_t stream, const LinearArgs& args, void*) {
  if (args.out.batches * args.out.rows == 0 || args.out.columns == 0) return;
  if (args.x.dtype == DType::f32 || !in_pieces(args)) linear_simt(stream, args);
  else if (args.out.batches * args.out.rows <= kFewRows) linear_few(stream, args);
  else if (card.capability == 90 && linear_sm90_takes(card, args)) linear_sm90(card, stream, args);
  else linear_mma(card, stream, args);
}

}  // namespace fude::cuda
