// Chooses how linears are multiplied, and does what needs no tensor cores.
#include <algorithm>

#include "cuda/gemm_simt.cuh"
#include "cuda/linear_kernels.h"
#include "cuda/linear_params.cuh"
#include "cuda/linear_sm90.h"

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

// The ways of linear(), in the order in which they are asked. Whether there are parts must not depend on addresses: a plan is
// made without any.
enum class Way { simt, few, parts, sm90, mma };

bool in_parts(const Card& card, const LinearArgs& args) {
  return args.x.dtype != DType::f32 && !args.norms.query && args.out.batches * args.out.rows > kFewRows &&
         linear_parts_workspace(card, args) > 0;
}

Way way(const Card& card, const LinearArgs& args) {
  if (args.x.dtype == DType::f32 || !in_pieces(args)) return Way::simt;
  if (args.out.batches * args.out.rows <= kFewRows) return Way::few;
  if (in_parts(card, args)) return Way::parts;
  return linear_sm90_takes(card, args) ? Way::sm90 : Way::mma;
}

}  // namespace

int64_t linear_workspace(const Card& card, const LinearArgs& args) {
  return in_parts(card, args) ? linear_parts_workspace(card, args) : 0;
}

void linear(const Card& card, cudaStream_t stream, const LinearArgs& args, void* workspace) {
  if (args.out.batches * args.out.rows == 0 || args.out.columns == 0) return;
  switch (way(card, args)) {
    case Way::simt: return linear_simt(stream, args);
    case Way::few: return linear_few(stream, args);
    case Way::parts: return linear_parts(card, stream, args, workspace);
    case Way::sm90: return linear_sm90(card, stream, args);
    case Way::mma: return linear_mma(card, stream, &args, 1);
  }
}

bool linear_norms_heads(const Card& card, const LinearArgs& args) {
  const Way chosen = way(card, args);
  if (chosen == Way::sm90) return linear_sm90_norms_heads(card, args);
  return chosen == Way::mma && args.norms.head_dim == Output::kHeadDim && args.out.columns % (3 * Output::kHeadDim) == 0;
}

int64_t linears_workspace(const Card& card, const LinearArgs* args, int count) {
  int64_t most = 0;
  for (int i = 0; i < count; ++i) most = std::max(most, linear_workspace(card, args[i]));
  return most;
}

void linears(const Card& card, cudaStream_t stream, const LinearArgs* args, int count, void* workspace) {
  const auto all_go = [&](Way wanted) {
    return std::all_of(args, args + count, [&](const LinearArgs& a) {
      return a.x.dtype == args->x.dtype && a.out.batches * a.out.rows * a.out.columns > 0 && way(card, a) == wanted;
    });
  };
  if (count <= kMaxLinearGroup && all_go(Way::sm90)) return linear_group_sm90(card, stream, args, count);
  if (count <= kMaxLinears && all_go(Way::mma)) return linear_mma(card, stream, args, count);
  for (int i = 0; i < count; ++i) linear(card, stream, args[i], workspace);
}

}  // namespace fude::cuda
