// Elementwise kernels. Tensors as Ops' operations have them; launched on a stream.
#pragma once

#include <cuda_runtime_api.h>

#include "core/device.h"
#include "cuda/kernels.h"

namespace fude::cuda {

void copy(cudaStream_t stream, const Tensor& out, const Tensor& x);  // strides and float dtypes may differ
void activate(cudaStream_t stream, const Tensor& out, const Tensor& x, Activation activation);
void add(cudaStream_t stream, const Tensor& x, const Tensor& y);
void multiply(cudaStream_t stream, const Tensor& x, const Tensor& y);
void add_gated(cudaStream_t stream, const Tensor& x, const Tensor& gate, const Tensor& y);
void modulate(cudaStream_t stream, const Tensor& out, const Tensor& x, const Tensor& shift, const Tensor& scale);
void to_bytes(cudaStream_t stream, const Tensor& out, const Tensor& pixels);
void cfg(cudaStream_t stream, const Tensor& out, const Tensor& v, const CfgOptions& options);
void rescale(cudaStream_t stream, const Tensor& x, const Tensor& like, float amount);
void combine(cudaStream_t stream, const CombineCall& call);
void patchify(cudaStream_t stream, const Tensor& out, const Tensor& latents, int64_t patch);
void unpatchify(cudaStream_t stream, const Tensor& out, const Tensor& tokens, int64_t patch);
void to_nhwc(cudaStream_t stream, const Tensor& out, const Tensor& latents, float scale, float shift);

// Sets *found when an element of x is not finite; leaves it alone otherwise.
void find_non_finite(cudaStream_t stream, const Tensor& x, int* found);

// torch.randn's next values of a CUDA generator on this GPU, f32, bit for bit.
// Source: ATen/native/cuda/DistributionTemplates.h.
void torch_cuda_noise(const Card& card, cudaStream_t stream, const Tensor& out, TorchGenerator& generator);  // noise.cu

}  // namespace fude::cuda
