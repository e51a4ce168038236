// The first latents: the same bits torch.randn gives for a seed.
#pragma once

#include <cstdint>
#include <vector>

#include "fude/request.h"

namespace fude {

// n values of torch.randn(n) with a fresh generator of this seed, as f32 (the narrow variants' values are exact in f32).
// torch_cpu variants: bit for bit on x86-64, n ≥ 16; torch_cpu_f16 and _bf16 those of PyTorch ≥ 2.13, torch_2_11_… those of 2.1
// to 2.11 (2.12 has bits of its own, which nothing here draws). torch_cuda: within 2e-6 of a card whose launch covers n
// elements in one pass; `device_threads` is that card's cap (multiprocessors × resident blocks × 256; 132·8·256 on an H100).
// Source: ATen/native/cpu/DistributionTemplates.h, ATen/native/cuda/DistributionTemplates.h.
std::vector<float> torch_randn(Noise kind, uint64_t seed, int64_t n, int64_t device_threads = 270336);

}  // namespace fude
