// Which GEMM kernel a linear runs on, and the launch of the SIMT one.
#include <algorithm>

#include "cuda/linear_kernels.h"
#include "cuda/linear_operands.h"
#include "cuda/linear_sm90.h"
#include "cuda/simt_launch.h"

namespace fude::cuda {

FUDE_KERNELS(linear, FUDE_LINEAR_KERNELS)

namespace {

// Whether x and the weight can be read 16 bytes at a time.
bool reads_16_bytes(const LinearArgs& args) {
  return aligned(args.x) && aligned(args.weight) && args.x.columns * size_of(args.x.dtype) % 16 == 0;
}

void linear_simt(CUstream stream, const LinearArgs& args) {
  if (args.x.dtype == DType::f32 && reads_16_bytes(args))
    return simt_gemm(stream, SimtGemmKernel<float, MatrixOperand<float>, false>{operand<float>(args.x),
                                                                                weight_operand<float>(args), epilogue(args)});
  with_type(args.x.dtype, [&](auto zero) {
    using T = decltype(zero);
    simt_gemm(stream, SimtGemmKernel<T, MatrixOperand<T>, true>{operand<T>(args.x), weight_operand<T>(args), epilogue(args)});
  });
}

// The kernels of linear(), in the order in which they are tried. Whether split-K is used must not depend on addresses: a dry
// run has none, and must find the same workspace.
enum class LinearKernel { simt, skinny, split_k, sm90, mma };

bool splits_k(const Card& card, const LinearArgs& args) {
  return args.x.dtype != DType::f32 && !args.norms.query && args.out.batches * args.out.rows > kSkinnyRows &&
         linear_split_k_workspace(card, args) > 0;
}

LinearKernel kernel_for(const Card& card, const LinearArgs& args) {
  if (args.x.dtype == DType::f32 || !reads_16_bytes(args)) return LinearKernel::simt;
  if (args.out.batches * args.out.rows <= kSkinnyRows) return LinearKernel::skinny;
  if (splits_k(card, args)) return LinearKernel::split_k;
  return linear_sm90_supports(card, args) ? LinearKernel::sm90 : LinearKernel::mma;
}

}  // namespace

int64_t linear_workspace(const Card& card, const LinearArgs& args) {
  return splits_k(card, args) ? linear_split_k_workspace(card, args) : 0;
}

void linear(const Card& card, CUstream stream, const LinearArgs& args, void* workspace) {
  if (args.out.batches * args.out.rows == 0 || args.out.columns == 0) return;
  switch (kernel_for(card, args)) {
    case LinearKernel::simt: return linear_simt(stream, args);
    case LinearKernel::skinny: return linear_skinny(stream, args);
    case LinearKernel::split_k: return linear_split_k(card, stream, args, workspace);
    case LinearKernel::sm90: return linear_sm90(card, stream, args);
    case LinearKernel::mma: return linear_mma(card, stream, &args, 1);
  }
}

bool linear_norms_heads(const Card& card, const LinearArgs& args) {
  const LinearKernel chosen = kernel_for(card, args);
  if (chosen == LinearKernel::sm90) return linear_sm90_norms_heads(card, args);
  return chosen == LinearKernel::mma && args.norms.head_dim == kHeadDim && args.out.columns % (3 * kHeadDim) == 0;
}

int64_t linears_workspace(const Card& card, const LinearArgs* args, int count) {
  int64_t most = 0;
  for (int i = 0; i < count; ++i) most = std::max(most, linear_workspace(card, args[i]));
  return most;
}

void linears(const Card& card, CUstream stream, const LinearArgs* args, int count, void* workspace) {
  const auto all_run_on = [&](LinearKernel wanted) {
    return std::all_of(args, args + count, [&](const LinearArgs& a) {
      return a.x.dtype == args->x.dtype && a.out.batches * a.out.rows * a.out.columns > 0 && kernel_for(card, a) == wanted;
    });
  };
  if (count <= kMaxLinearGroup && all_run_on(LinearKernel::sm90)) return linear_group_sm90(card, stream, args, count);
  if (count <= kMaxLinears && all_run_on(LinearKernel::mma)) return linear_mma(card, stream, args, count);
  for (int i = 0; i < count; ++i) linear(card, stream, args[i], workspace);
}

}  // namespace fude::cuda
