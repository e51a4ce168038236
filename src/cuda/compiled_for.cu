// Which architecture the code that runs on this GPU was compiled for: kernels may use no more than that one's instructions.
#include "cuda/device.h"

namespace fude::cuda {

namespace {

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
__device__ const int kCompiledFor = 90;  // wgmma is in sm_90a only
#elif defined(__CUDA_ARCH__)
__device__ const int kCompiledFor = __CUDA_ARCH__ / 10 == 90 ? 89 : __CUDA_ARCH__ / 10;
#else
__device__ const int kCompiledFor = 0;  // the host pass
#endif

}  // namespace

int compiled_for() {
  int value = 0;
  check(cudaMemcpyFromSymbol(&value, kCompiledFor, sizeof value), "asking what its code was compiled for");
  return value;
}

}  // namespace fude::cuda
