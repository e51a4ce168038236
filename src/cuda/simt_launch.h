// The launch of the GEMM that needs no tensor cores.
#pragma once

#include "cuda/ceil_div.h"
#include "cuda/gemm_params.h"
#include "cuda/launch.h"

namespace fude::cuda {

template <class T, class Left, bool any>
void simt_gemm(CUstream stream, const SimtGemmKernel<T, Left, any>& kernel) {
  launch(stream, {int64_t{ceil_div(kernel.out.rows, kSimtTile)} * ceil_div(kernel.out.columns, kSimtTile)}, kernel,
         "starting a product without tensor cores");
}

}  // namespace fude::cuda
