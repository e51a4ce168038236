// What Hopper's kernels and their launches both count in.
#pragma once

namespace fude::cuda {

inline constexpr int kWarp = 32;
inline constexpr int kWarpgroup = 128;
inline constexpr int kKTile = 64;  // the k of a k-tile: 16-bit elements of a swizzled row of 128 bytes

// Of linears and convolutions: warpgroups that multiply, beside the one that loads; shared memory of a block.
inline constexpr int kHopperConsumers = 2;
inline constexpr int kHopperThreads = (1 + kHopperConsumers) * kWarpgroup;
inline constexpr int kHopperSharedBytes = 227 * 1024;

}  // namespace fude::cuda
