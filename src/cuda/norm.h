// Norm kernels. Tensors as Ops' operations have them; launched on a stream.
#pragma once

#include "core/tensor.h"
#include "cuda/kernels.h"

namespace fude::cuda {

// norm.cu
void layer_norm(CUstream stream, const Tensor& out, const Tensor& x, const Norm& w, float eps);
void rms_norm(CUstream stream, const Tensor& out, const Tensor& x, const Tensor& weight, float eps);  // out may be x
void norm_modulate(CUstream stream, const Tensor& out, const Tensor& x, const Tensor& shift, const Tensor& scale, float eps);

// group_norm.cu
int64_t group_pieces_of_row(const Card& card, const Tensor& whole);
void group_sums(CUstream stream, const Tensor& sums, const Tensor& x);
void group_factors(CUstream stream, const Tensor& factors, const Tensor& sums, int64_t pixels, const Norm& w, int64_t groups,
                   float eps);
void scale_shift(CUstream stream, const Tensor& out, const Tensor& x, const Tensor& factors,
                 Activation activation);  // out may be x

}  // namespace fude::cuda
