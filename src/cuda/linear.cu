// The linears that need no tensor cores.
#include "cuda/gemm_simt.cuh"
#include "cuda/kernel.cuh"

namespace fude::cuda {

FUDE_LINEAR_KERNELS(FUDE_DEFINE_KERNEL)

}  // namespace fude::cuda
