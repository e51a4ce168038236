// Convolutions on Hopper: which ones it takes, and their launch.
#include "cuda/conv_sm90.h"

#include "cuda/ceil_div.h"
#include "cuda/conv_sm90_params.h"
#include "cuda/hopper_launch.h"

namespace fude::cuda {

FUDE_KERNELS(conv_sm90, FUDE_CONV_SM90_KERNELS)

namespace {

template <class Tiling>
void describe(Convolution& c, const ConvArgs& args) {
  const int64_t in = args.shape.in, out = args.shape.out;
  constexpr int kTaps = Tiling::phases * Tiling::taps * Tiling::taps;
  describe_tensor(c.x, args.dtype, args.x,
                  {{in, 1, kKTile},
                   {args.width, in, kConvTileWidth},
                   {args.height, args.width * in, kConvTileHeight + Tiling::taps - 1},
                   {args.n, args.height * args.width * in, 1}},
                  "a convolution's picture");
  describe_tensor(c.weight, args.dtype, args.weight,
                  {{in, 1, kKTile}, {out, kTaps * in, Tiling::columns / Tiling::cluster}, {kTaps, in, 1}},
                  "a convolution's weight");
  c.out = args.out;
  c.bias = args.bias;
  c.n = static_cast<int>(args.n);
  c.width = static_cast<int>(args.width);
  c.begin = static_cast<int>(args.begin);
  c.end = static_cast<int>(args.end);
  c.columns = static_cast<int>(out);
  c.channel_tiles = static_cast<int>(in / kKTile);
  c.tiles_x = static_cast<int>(ceil_div(args.width, kConvTileWidth));
  c.tiles_y = static_cast<int>(ceil_div(ceil_div(args.end - args.begin, Tiling::upscale), kConvTileHeight));
  c.column_tiles = static_cast<int>(ceil_div(out, Tiling::columns));
  c.tiles = static_cast<int>(ceil_div(int64_t{c.n} * c.tiles_y * c.tiles_x, Tiling::cluster)) * Tiling::phases * c.column_tiles;
  c.accumulate = args.accumulate;
}

template <class T, class Tiling>
void launch_conv(const Card& card, CUstream stream, const ConvArgs& args) {
  constexpr int kBytes = sizeof(ConvRing<Tiling>);
  static_assert(kBytes <= kHopperSharedBytes);
  ConvSm90Kernel<T, Tiling> kernel = {};
  describe<Tiling>(kernel.convolution, args);
  const int tiles = kernel.convolution.tiles;
  if (tiles == 0) return;
  launch_clusters(card, stream, kernel, tiles, Tiling::cluster, kBytes, "starting a convolution");
}

}  // namespace

bool conv_sm90_supports(const Card& card, const ConvArgs& args) {
  return card.capability == 90 && (args.dtype == DType::f16 || args.dtype == DType::bf16) && args.shape.kernel == 3 &&
         args.stride == 1 && args.shape.in % kKTile == 0 &&
         (args.shape.out % 64 == 0 || (args.shape.out <= 8 && !args.shape.upsample));
}

void conv_sm90(const Card& card, CUstream stream, const ConvArgs& args) {
  with_narrow_type(args.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (args.shape.out <= 8) launch_conv<T, ConvToFew>(card, stream, args);
    else if (args.shape.upsample) launch_conv<T, ConvUpsampling>(card, stream, args);
    else launch_conv<T, ConvPlain>(card, stream, args);
  });
}

}  // namespace fude::cuda
