// Which kernel an attention runs on, and the launch of the one that takes every call.
#include "cuda/attention_kernels.h"
#include "cuda/attention_params.h"
#include "cuda/ceil_div.h"
#include "cuda/launch.h"

namespace fude::cuda {

FUDE_KERNELS(attention, FUDE_ATTENTION_KERNELS)

void attention_simt(CUstream stream, const AttentionArgs& args) {
  const Grid grid = {ceil_div(args.q.rows, kSimtAttentionTile) * ceil_div(args.head_dim, kSimtAttentionTile), args.heads,
                     args.q.batches};
  with_type(args.q.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(stream, grid, AttentionSimtKernel<T>{AttentionCall<T>(args)}, "attention");
  });
}

int64_t attention_workspace(const Card&, const AttentionArgs&) { return 0; }

void attention(const Card& card, CUstream stream, const AttentionArgs& args, void*) {
  if (attention_sm90_supports(card, args)) attention_sm90(card, stream, args);
  else if (attention_mma_supports(card, args)) attention_mma(card, stream, args);
  else if (attention_wide_supports(card, args)) attention_wide(card, stream, args);
  else attention_simt(stream, args);
}

}  // namespace fude::cuda
