// Linears on Hopper: which ones it takes, and the launch of one or several.
#include "cuda/linear_sm90.h"

#include "cuda/ceil_div.h"
#include "cuda/hopper_launch.h"
#include "cuda/linear_sm90_params.h"

namespace fude::cuda {

FUDE_KERNELS(linear_sm90, FUDE_LINEAR_SM90_KERNELS)

namespace {

// sigmoid's argument x·(a + b·x²), as the exponent of 2 that the kernel takes. GELU's tanh form is x·sigmoid(2·√(2/π)·(x +
// 0.044715·x³)).
struct Curve {
  float linear, cubic;
};
Curve curve(Activation activation) {
  constexpr float kLog2e = 1.4426950408889634f;
  switch (activation) {
    case Activation::silu: return {-kLog2e, 0};
    case Activation::quick_gelu: return {-1.702f * kLog2e, 0};
    case Activation::gelu_tanh: return {-1.5957691216057308f * kLog2e, -1.5957691216057308f * 0.044715f * kLog2e};
    default: return {0, 0};
  }
}

// In its place: copies of what is aligned to 128 bytes are best not made.
void describe(Gemm& p, const LinearArgs& args, int tile_rows, int tile_columns, int cluster, int begin) {
  const Matrix &x = args.x, &out = args.out;
  describe_tensor(p.x, x.dtype, x.data,
                  {{x.columns, 1, kKTile},
                   {x.rows, x.row_stride, tile_rows},
                   {x.batches, x.batches > 1 ? x.batch_stride : x.rows * x.row_stride, 1}},
                  "a linear layer's input");
  describe_tensor(p.weight, x.dtype, args.weight,
                  {{x.columns, 1, kKTile}, {out.columns, x.columns, tile_columns / cluster}, {1, out.columns * x.columns, 1}},
                  "a linear layer's weight");
  p.out = out.data;
  p.bias = args.bias;
  p.gate = args.gate;
  p.batch_stride = out.batch_stride;
  p.row_stride = out.row_stride;
  p.gate_stride = args.gate_stride;
  p.rows = static_cast<int>(out.rows);
  p.columns = static_cast<int>(out.columns);
  p.batches = static_cast<int>(out.batches);
  p.k_tiles = ceil_div(static_cast<int>(x.columns), kKTile);
  p.row_tiles = ceil_div(p.rows, tile_rows);
  p.cluster_rows = ceil_div(p.batches * p.row_tiles, cluster);
  p.column_tiles = ceil_div(p.columns, tile_columns);
  p.end = begin + p.cluster_rows * p.column_tiles;
  const auto [linear, cubic] = curve(args.activation);
  p.activated = args.activation != Activation::none;
  p.linear = linear;
  p.cubic = cubic;
  p.norms[0] = args.norms.query;
  p.norms[1] = args.norms.key;
  p.third = p.columns / 3;
  p.eps = args.norms.eps;
  p.wide = out.dtype == DType::f32;
  p.accumulate = args.accumulate || args.gate;
}

template <class T, class Tiling>
void launch_group(const Card& card, CUstream stream, const LinearArgs* args, int count) {
  LinearSm90Kernel<T, Tiling> kernel = {};
  GroupedGemm& group = kernel.group;
  for (int i = 0; i < count; i++) {
    describe(group.gemms[i], args[i], Tiling::rows, Tiling::columns, Tiling::cluster, group.tiles);
    group.tiles = group.gemms[i].end;
  }
  constexpr int kBytes = sizeof(LinearRing<Tiling>);
  static_assert(kBytes <= kHopperSharedBytes);
  launch_clusters(card, stream, kernel, group.tiles, Tiling::cluster, kBytes, "starting linear layers");
}

}  // namespace

bool linear_sm90_supports(const Card& card, const LinearArgs& args) {
  const Matrix &x = args.x, &out = args.out;
  const auto aligned = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; };
  const auto whole = [](int64_t elements, DType dtype) { return elements * size_of(dtype) % 16 == 0; };
  return card.capability == 90 && (x.dtype == DType::f16 || x.dtype == DType::bf16) &&
         (out.dtype == x.dtype || out.dtype == DType::f32) && args.activation != Activation::gelu_erf && aligned(x.data) &&
         aligned(out.data) && aligned(args.weight) && aligned(args.bias) && aligned(args.gate) && x.columns % 8 == 0 &&
         out.columns % 8 == 0 && x.row_stride % 8 == 0 && x.batch_stride % 8 == 0 && whole(out.row_stride, out.dtype) &&
         whole(out.batch_stride, out.dtype) && args.gate_stride % 4 == 0;
}

bool linear_sm90_norms_heads(const Card& card, const LinearArgs& args) {
  return linear_sm90_supports(card, args) && args.norms.head_dim == kHeadDim && args.out.columns % (3 * kHeadDim) == 0;
}

void linear_sm90(const Card& card, CUstream stream, const LinearArgs& args) { linear_group_sm90(card, stream, &args, 1); }

void linear_group_sm90(const Card& card, CUstream stream, const LinearArgs* args, int count) {
  with_narrow_type(args->x.dtype, [&](auto zero) { launch_group<decltype(zero), PingPong>(card, stream, args, count); });
}

}  // namespace fude::cuda
