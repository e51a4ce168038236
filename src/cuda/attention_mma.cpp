// Attention with heads of 64 on mma.sync: which calls it takes, and its launch.
#include "cuda/attention_kernels.h"
#include "cuda/attention_params.h"
#include "cuda/ceil_div.h"
#include "cuda/launch.h"

namespace fude::cuda {

FUDE_KERNELS(attention_mma, FUDE_ATTENTION_MMA_KERNELS)

namespace {

template <class T, class Shape, bool kCausal, bool kBias>
void launch_mma(CUstream stream, const AttentionArgs& args) {
  launch(stream, {ceil_div(args.q.rows, Shape::kRows), args.heads, args.q.batches},
         AttentionMmaKernel<T, Shape, kCausal, kBias>{AttentionCall<T>(args)}, "attention", Shape::kSharedBytes);
}

}  // namespace

bool attention_mma_supports(const Card& card, const AttentionArgs& args) {
  return args.head_dim == kHeadDim && attention_fits_tensor_cores(card, args);
}

void attention_mma(const Card&, CUstream stream, const AttentionArgs& args) {
  with_narrow_type(args.q.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (args.causal)
      args.bias ? launch_mma<T, SmallMma, true, true>(stream, args) : launch_mma<T, SmallMma, true, false>(stream, args);
    else args.bias ? launch_mma<T, SmallMma, false, true>(stream, args) : launch_mma<T, LargeMma, false, false>(stream, args);
  });
}

}  // namespace fude::cuda
