// Linears of few rows: the launch, by how many rows there are.
#include "cuda/ceil_div.h"
#include "cuda/launch.h"
#include "cuda/linear_kernels.h"
#include "cuda/linear_operands.h"
#include "cuda/linear_skinny_params.h"

namespace fude::cuda {

FUDE_KERNELS(linear_skinny, FUDE_LINEAR_SKINNY_KERNELS)

void linear_skinny(CUstream stream, const LinearArgs& args) {
  const int64_t rows = args.out.batches * args.out.rows;
  const auto run = [&](const auto& kernel) {
    launch(stream, {ceil_div(args.out.columns, kSkinnyOutputs)}, kernel, "starting a linear of few rows");
  };
  with_narrow_type(args.x.dtype, [&](auto zero) {
    using T = decltype(zero);
    const MatrixOperand<T> x = operand<T>(args.x), w = weight_operand<T>(args);
    if (rows <= 8) run(SkinnyKernel<T, 1>{x, w, epilogue(args)});
    else if (rows <= 16) run(SkinnyKernel<T, 2>{x, w, epilogue(args)});
    else run(SkinnyKernel<T, kSkinnyRows / 8>{x, w, epilogue(args)});
  });
}

}  // namespace fude::cuda
