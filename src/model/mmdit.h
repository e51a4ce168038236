// MMDiT-X, the denoiser of Stable Diffusion 3.5 (Esser et al. 2024, "Scaling Rectified Flow Transformers", fig. 2; the X is the
// second, image-only attention of SD3.5-medium's first blocks).
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "offload/layers.h"
#include "weights/geometry.h"

namespace fude {

struct Attention {
  Linear qkv, proj;
  Tensor norm_q, norm_k;  // RMS norm per head, [head_dim]; may be empty
};

// The weights of one of the two streams (image, text) in a block.
struct Stream {
  Attention attn;
  std::optional<Attention> attn2;  // image stream of dual blocks
  Linear fc1, fc2;                 // MLP
};

struct JointBlock {
  Stream x, ctx;
  bool last = false;  // the text stream ends here: only its keys and values are needed
};

// adaLN-Zero: what turns the step's embedding into shifts, scales and gates. Only needed before the loop.
struct ModulationWeights {
  Linear x, ctx;
};

struct Embedders {
  Linear patch;  // [D, c·p·p]
  Linear time1, time2;
  Linear pooled1, pooled2;
  Linear context;
  Linear final_modulation;
};

struct FinalLayer {
  Linear proj;  // [p·p·c, D]
};

struct Mmdit {
  Mmdit(Device& device, DType dtype, const Checkpoint& checkpoint);

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
  Source pos_embed;  // [P², D]; the window for a picture is read from the file
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
