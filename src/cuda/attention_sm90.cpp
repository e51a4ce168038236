// Attention with heads of 64 on Hopper: which calls it takes, and its launch.
#include <algorithm>

#include "cuda/attention_kernels.h"
#include "cuda/attention_params.h"
#include "cuda/ceil_div.h"
#include "cuda/hopper_launch.h"

namespace fude::cuda {

FUDE_KERNELS(attention_sm90, FUDE_ATTENTION_SM90_KERNELS)

namespace {

// Boxes of `rows` rows × 64 columns, one head's.
void describe(CUtensorMap& descriptor, const Matrix& x, int rows) {
  const int64_t batch_stride = x.batches > 1 ? x.batch_stride : x.rows * x.row_stride;
  describe_tensor(descriptor, x.dtype, x.data,
                  {{x.columns, 1, kTileColumns}, {x.rows, x.row_stride, rows}, {x.batches, batch_stride, 1}},
                  "attention's tensors", CU_TENSOR_MAP_L2_PROMOTION_L2_128B);
}

template <class T, class Shape>
void launch_sm90(const Card& card, CUstream stream, const AttentionArgs& args) {
  HopperCall call;
  call.queries = static_cast<int>(args.q.rows), call.keys = static_cast<int>(args.k.rows),
  call.heads = static_cast<int>(args.heads);
  call.query_tiles = ceil_div(call.queries, Shape::kRows), call.key_tiles = ceil_div(call.keys, Shape::kKeys);
  call.tiles = call.query_tiles * call.heads * static_cast<int>(args.q.batches);
  call.scale = args.scale * kLog2E;
  AttentionSm90Kernel<T, Shape> kernel{{}, {}, {}, call, AttentionRows<T>(args.out)};
  describe(kernel.q, args.q, Shape::kRows);
  describe(kernel.k, args.k, Shape::kKeys);
  describe(kernel.v, args.v, Shape::kKeys);
  launch(stream, {std::min(call.tiles, card.multiprocessors)}, kernel, "attention", sizeof(HopperShared<Shape>) + 1024);
}

// Three warpgroups hide one another's exponentials better than two, by an eighth per row, but two leave fewer rows idle in the
// last wave.
template <class T>
void choose_sm90(const Card& card, CUstream stream, const AttentionArgs& args) {
  const auto waves_of = [&](int rows) {
    return ceil_div(ceil_div(args.q.rows, rows) * args.heads * args.q.batches, card.multiprocessors) * rows;
  };
  if (waves_of(192) * 7 <= waves_of(128) * 8) launch_sm90<T, HopperShape<3>>(card, stream, args);
  else launch_sm90<T, HopperShape<2>>(card, stream, args);
}

}  // namespace

bool attention_sm90_supports(const Card& card, const AttentionArgs& args) {
  return card.capability == 90 && args.head_dim == kHeadDim && !args.causal && !args.bias &&
         attention_fits_tensor_cores(card, args);
}

void attention_sm90(const Card& card, CUstream stream, const AttentionArgs& args) {
  with_narrow_type(args.q.dtype, [&](auto zero) { choose_sm90<decltype(zero)>(card, stream, args); });
}

}  // namespace fude::cuda
