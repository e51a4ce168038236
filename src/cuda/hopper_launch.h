// How kernels for Hopper are started: what its copy engine is told of tensors, and blocks in clusters.
#pragma once

#include <cudaTypedefs.h>

#include <algorithm>
#include <initializer_list>

#include "cuda/kernels.h"

namespace fude::cuda {

struct MapDimension {
  int64_t size;
  int64_t stride;  // in elements; the first dimension's is 1
  int box;         // how much of it one copy brings
};

// A tensor of 16-bit elements in boxes whose first dimension is 64 elements: rows of 128 bytes, swizzled over eight of them.
// What of a box lies outside of the tensor becomes zeros. `what` says whose tensor it is.
CUtensorMap tensor_map(DType dtype, const void* data, std::initializer_list<MapDimension> dimensions, const char* what);

// Starts as many clusters as the card holds, but not more than there are tiles for them.
template <class Params>
void launch_clusters(const Card& card, cudaStream_t stream, void (*kernel)(Params), const Params& params, int tiles,
                     int cluster, int threads, int shared_bytes, const char* doing) {
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes), doing);
  cudaLaunchAttribute size;
  size.id = cudaLaunchAttributeClusterDimension;
  size.val.clusterDim = {static_cast<unsigned>(cluster), 1, 1};
  cudaLaunchConfig_t config = {};
  config.gridDim = static_cast<unsigned>(cluster * std::min(tiles, card.multiprocessors / cluster));
  config.blockDim = static_cast<unsigned>(threads);
  config.dynamicSmemBytes = static_cast<size_t>(shared_bytes);
  config.stream = stream;
  config.attrs = &size;
  config.numAttrs = 1;
  check(cudaLaunchKernelEx(&config, kernel, params), doing);
}

}  // namespace fude::cuda
