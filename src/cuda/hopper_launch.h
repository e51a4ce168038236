// TMA descriptors and cluster launches, for Hopper's kernels.
#pragma once

#include <cudaTypedefs.h>

#include <algorithm>
#include <initializer_list>

#include "cuda/kernels.h"

namespace fude::cuda {

struct TmaDimension {
  int64_t size;
  int64_t stride;  // in elements; the first dimension's is 1
  int box;         // of one TMA load
};

// The TMA descriptor of a tensor of 16-bit elements, in boxes whose first dimension is 64 elements: rows of 128 bytes, 128-byte
// swizzle. Elements of a box outside of the tensor are read as zeros. `what` names the tensor in errors.
CUtensorMap tma_descriptor(DType dtype, const void* data, std::initializer_list<TmaDimension> dimensions, const char* what);

// A persistent grid: as many clusters as the GPU holds, but not more than there are tiles for them.
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
