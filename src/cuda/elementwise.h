// Elementwise kernels. Tensors as Ops' operations have them; launched on a stream.
#pragma once

#include "core/device.h"
#include "cuda/kernels.h"

namespace fude::cuda {

void copy(CUstream stream, const Tensor& out, const Tensor& x);  // strides and float dtypes may differ
void activate(CUstream stream, const Tensor& out, const Tensor& x, Activation activation);
void add(CUstream stream, const Tensor& x, const Tensor& y);
void multiply(CUstream stream, const Tensor& x, const Tensor& y);
void add_gated(CUstream stream, const Tensor& x, const Tensor& gate, const Tensor& y);
void modulate(CUstream stream, const Tensor& out, const Tensor& x, const Tensor& shift, const Tensor& scale);
void to_bytes(CUstream stream, const Tensor& out, const Tensor& pixels);
void cfg(CUstream stream, const Tensor& out, const Tensor& v, const CfgOptions& options);
void rescale(CUstream stream, const Tensor& x, const Tensor& like, float amount);
void combine(CUstream stream, const CombineCall& call);
void patchify(CUstream stream, const Tensor& out, const Tensor& latents, int64_t patch);
void unpatchify(CUstream stream, const Tensor& out, const Tensor& tokens, int64_t patch);
void to_nhwc(CUstream stream, const Tensor& out, const Tensor& latents, float scale, float shift);

// Sets *found when an element of x is not finite; leaves it alone otherwise.
void find_non_finite(CUstream stream, const Tensor& x, int* found);

// torch.randn's next values of a CUDA generator on this GPU, f32, bit for bit.
// Source: ATen/native/cuda/DistributionTemplates.h.
void torch_cuda_noise(const Card& card, CUstream stream, const Tensor& out, TorchGenerator& generator);  // noise.cu

}  // namespace fude::cuda
