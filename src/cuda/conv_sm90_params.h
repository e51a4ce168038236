// Hopper's kernels of convolutions: their parameters and their list.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cuda/elements.h"
#include "cuda/hopper_sizes.h"
#include "cuda/tensor_map.h"

namespace fude::cuda {

constexpr int kConvTileWidth = 8, kConvTileHeight = 16;  // in pixels

struct Convolution {
  CUtensorMap x;       // [n, height, width, in], boxes of a tile with the halo of one column of taps
  CUtensorMap weight;  // [taps, out, in], boxes of a block's share of a tile's columns through one tap
  void* out;           // [n, rows, width of the output, out]
  const float* bias;
  int n, width;       // of x
  int begin, end;     // rows of the output
  int columns;        // output channels
  int channel_tiles;  // of the input channels
  int tiles_x, tiles_y, column_tiles;
  int tiles;  // counted in clusters
  bool accumulate;
};

// The shape of a block's tile, for a plain convolution or an upsampling one, to many output channels or to at most `columns`.
template <bool upsample, int columns_ = 128>
struct ConvTiling {
  static constexpr int columns = columns_;  // of a tile
  static constexpr int cluster = columns == 128 ? 2 : 1;
  static constexpr int taps = upsample ? 2 : 3;  // in each direction
  static constexpr int upscale = upsample ? 2 : 1;
  static constexpr int phases = upscale * upscale;  // of output pixels, by their parity in y and x
  static constexpr int x_bytes = kConvTileWidth * (kConvTileHeight + taps - 1) * kKTile * 2;
  static constexpr int tap_bytes = columns * kKTile * 2;
  static constexpr int weight_bytes = taps * tap_bytes;
  static constexpr int stages = std::min(8, (kHopperSharedBytes - 1024) / (x_bytes + weight_bytes));
  static_assert(x_bytes % 1024 == 0 && tap_bytes % 1024 == 0, "swizzled tiles begin at multiples of 1024 bytes");
};

// In shared memory; its mbarriers tell when a stage is full, and when it may be filled again.
template <class Tiling>
struct ConvRing {
  char x[Tiling::stages][Tiling::x_bytes];
  char weight[Tiling::stages][Tiling::weight_bytes];  // tap by tap
  uint64_t full[Tiling::stages], empty[Tiling::stages];
};

using ConvPlain = ConvTiling<false>;
using ConvUpsampling = ConvTiling<true>;
using ConvToFew = ConvTiling<false, 8>;

template <class T, class Tiling>
struct ConvSm90Kernel {
  static constexpr int kThreads = kHopperThreads, kBlocks = 1;
  Convolution convolution;
};

#define FUDE_CONV_SM90_KERNELS_OF(KERNEL, T, type)                       \
  KERNEL(conv_sm90_##type, ConvSm90Kernel<T, ConvPlain>)                 \
  KERNEL(conv_sm90_upsampling_##type, ConvSm90Kernel<T, ConvUpsampling>) \
  KERNEL(conv_sm90_to_few_##type, ConvSm90Kernel<T, ConvToFew>)
#define FUDE_CONV_SM90_KERNELS(KERNEL)         \
  FUDE_CONV_SM90_KERNELS_OF(KERNEL, Half, f16) \
  FUDE_CONV_SM90_KERNELS_OF(KERNEL, BFloat16, bf16)

}  // namespace fude::cuda
