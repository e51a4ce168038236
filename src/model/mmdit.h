// MMDiT-X, the denoiser of Stable Diffusion 3.5 (Esser et al. 2024, "Scaling Rectified Flow Transformers", fig. 2; the X is the
// second, image-only attention of SD3.5-medium's first blocks).
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "offload/layer_stream.h"
#include "weights/components/mmdit.h"

namespace fude {

struct Mmdit {
  Mmdit(Device& device, WeightFormat format, const WeightSource& source);

  void use(const WeightSource& source);  // from now on; see Layers
  // Calls each(name in plans, part).
  template <class Self, class Each>
  static void for_each_part(Self& self, const Each& each) {
    each(name_of(Component::transformer), self.embedders);
    each(name_of(Component::transformer), self.blocks);
    each(name_of(Component::transformer), self.final_layer);
    each("modulation", self.modulation);
  }

  // `resident` blocks stay on the device, and so do the two ends; of the other blocks, as many as fit into the share are
  // host-offloaded. See Layers.
  void keep(int64_t resident, const HostShare& host = {});
  void place(Arena& memory);
  int64_t resident_bytes() const { return embedders.resident_bytes() + blocks.resident_bytes() + final_layer.resident_bytes(); }

  WeightSource source;
  MmditGeometry geometry;
  Whole<Embedders> embedders;
  Layers<ModulationWeights> modulation;
  Layers<JointBlock> blocks;
  Whole<FinalLayer> final_layer;
  MmditTables tables;
};

// What forward passes go through.
struct MmditLayers {
  MmditLayers(Ops& op, Mmdit& mmdit, int64_t passes)
      : embedders(op, mmdit.embedders), blocks(op, mmdit.blocks, passes), final_layer(op, mmdit.final_layer) {}

  OnDevice<Embedders> embedders;
  LayerStream<JointBlock> blocks;
  OnDevice<FinalLayer> final_layer;
};

// What stays the same over all steps of a request.
struct Conditioning {
  Tensor context;  // [b, text tokens, D]
  Tensor pos;      // f32 [image tokens, D]
};

// Embeddings [b, text tokens, context_width], latents of height×width.
Conditioning condition(Ops& op, const Mmdit& mmdit, const Embedders& w, const Tensor& embeddings, int64_t height,
                       int64_t width);

// temb of every step and batch row, before its silu: f32 [steps, b, D]. pooled [b, pooled_width].
Tensor embed_timesteps(Ops& op, const Embedders& w, const std::vector<float>& timesteps, const Tensor& pooled);
// The modulation vectors of some steps, computed before the loop, since they depend on the timestep and the pooled text only:
// f32 [steps·b, modulation_columns], each row the vectors of all blocks (the image's, then the text's) and of the final layer.
Tensor modulate(Ops& op, const MmditGeometry& geometry, const Embedders& w, LayerStream<ModulationWeights>& layers,
                const Tensor& temb);
int64_t modulation_columns(const MmditGeometry& geometry);

// For tests: called with ("x_embed" | "block.K.x" | "block.K.context", tensor).
using MmditProbe = std::function<void(const std::string& name, const Tensor&)>;

// Layers that the last rows of a batch pass by: only the first `rows` of it go through these. So all rows share one pass, and
// streamed weights travel once.
struct SkippedRows {
  std::vector<int64_t> layers = {};
  int64_t rows = 0;
};

// The velocity of a step, given its rows of modulation [b, columns]. latents f32 [b, c, height, width] -> f32 of the same
// shape. One of the layers' passes.
Tensor mmdit_forward(Ops& op, const MmditGeometry& geometry, MmditLayers& layers, const Tensor& modulation,
                     const Conditioning& conditioning, const Tensor& latents, const SkippedRows& skipped = {},
                     const MmditProbe& probe = {});

}  // namespace fude
