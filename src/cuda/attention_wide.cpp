// Attention with heads of 512: which calls it takes, and its launch.
#include "cuda/attention_kernels.h"
#include "cuda/attention_params.h"
#include "cuda/ceil_div.h"
#include "cuda/launch.h"

namespace fude::cuda {

FUDE_KERNELS(attention_wide, FUDE_ATTENTION_WIDE_KERNELS)

namespace {

template <class T, class Shape>
void launch_wide(CUstream stream, const AttentionArgs& args) {
  launch(stream, {ceil_div(args.q.rows, Shape::kRows), args.heads, args.q.batches},
         AttentionWideKernel<T, Shape>{AttentionCall<T>(args)}, "attention", Shape::kSharedBytes);
}

}  // namespace

bool attention_wide_supports(const Card& card, const AttentionArgs& args) {
  return args.head_dim == kWideHead && !args.causal && !args.bias && card.shared_bytes >= ShortWide::kSharedBytes &&
         attention_fits_tensor_cores(card, args);
}

void attention_wide(const Card& card, CUstream stream, const AttentionArgs& args) {
  with_narrow_type(args.q.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (card.shared_bytes >= DeepWide::kSharedBytes) launch_wide<T, DeepWide>(stream, args);
    else if (card.shared_bytes >= TallWide::kSharedBytes) launch_wide<T, TallWide>(stream, args);
    else launch_wide<T, ShortWide>(stream, args);
  });
}

}  // namespace fude::cuda
