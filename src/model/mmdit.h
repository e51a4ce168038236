// MMDiT-X, the denoiser of Stable Diffusion 3.5 (Esser et al. 2024, "Scaling Rectified Flow Transformers", fig. 2; the X is the
// second, image-only attention of SD3.5-medium's first blocks).
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "offload/layers.h"
#include "weights/components/mmdit.h"

namespace fude {

struct Mmdit {
  Mmdit(Device& device, WeightFormat format, const WeightSource& source);

  // `resident` blocks stay on the device, and so do the two ends; of the other blocks, as many as fit into `host_bytes` are
  // host-offloaded. See Blocks.
  void keep(int64_t resident, int64_t host_bytes = 0);
  void place(Arena& memory);
  int64_t resident_bytes() const { return embedders.resident_bytes() + blocks.resident_bytes() + final_layer.resident_bytes(); }

  MmditGeometry geometry;
  Whole<Embedders> embedders;
  Blocks<ModulationWeights> modulation;
  Blocks<JointBlock> blocks;
  Whole<FinalLayer> final_layer;
  MmditTables tables;
};

// What stays the same over all steps of a request.
struct Conditioning {
  Tensor context;  // [b, text tokens, D]
  Tensor pos;      // f32 [image tokens, D]
};

// Embeddings [b, text tokens, context_width], latents of height×width.
Conditioning condition(Ops& op, Mmdit& mmdit, const Tensor& embeddings, int64_t height, int64_t width);

// temb of every step and batch row, before its silu: f32 [steps, b, D]. pooled [b, pooled_width].
Tensor embed_timesteps(Ops& op, Mmdit& mmdit, const std::vector<float>& timesteps, const Tensor& pooled);
// The modulation vectors of some steps, computed before the loop, since they depend on the timestep and the pooled text only:
// f32 [steps·b, modulation_columns], each row the vectors of all blocks (the image's, then the text's) and of the final layer.
Tensor modulate(Ops& op, Mmdit& mmdit, const Tensor& temb);
int64_t modulation_columns(const MmditGeometry& geometry);

// For tests: called with ("x_embed" | "block.K.x" | "block.K.context", tensor).
using MmditProbe = std::function<void(const std::string& name, const Tensor&)>;

// The velocity of a step, given its rows of modulation [b, columns]. latents f32 [b, c, height, width] -> f32 of the same
// shape. Unless all blocks are resident, the caller holds mmdit.blocks.stream(…).
Tensor mmdit_forward(Ops& op, Mmdit& mmdit, const Tensor& modulation, const Conditioning& conditioning, const Tensor& latents,
                     const MmditProbe& probe = {});

}  // namespace fude
