// TMA descriptors and cluster launches, for Hopper's kernels.
#pragma once

#include <algorithm>
#include <initializer_list>

#include "cuda/launch.h"

namespace fude::cuda {

struct TmaDimension {
  int64_t size;
  int64_t stride;  // in elements; the first dimension's is 1
  int box;         // of one TMA load
};

// Makes the TMA descriptor of a tensor of 16-bit elements, in boxes whose first dimension is 64 elements: rows of 128 bytes,
// 128-byte swizzle. Elements of a box outside of the tensor are read as zeros. `what` names the tensor in errors. `promotion`:
// how much the L2 cache fetches at once.
void describe_tensor(CUtensorMap& descriptor, DType dtype, const void* data, std::initializer_list<TmaDimension> dimensions,
                     const char* what, CUtensorMapL2promotion promotion = CU_TENSOR_MAP_L2_PROMOTION_L2_256B);

// A persistent grid: as many clusters as the GPU holds, but not more than there are tiles for them.
template <class Kernel>
void launch_clusters(const Card& card, CUstream stream, const Kernel& kernel, int tiles, int cluster, int shared_bytes,
                     const char* doing) {
  launch(stream, {cluster * std::min(tiles, card.multiprocessors / cluster)}, kernel, doing, shared_bytes, cluster);
}

}  // namespace fude::cuda
