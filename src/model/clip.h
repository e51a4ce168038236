// CLIP's text encoder (Radford et al. 2021; transformers' CLIPTextModelWithProjection), as SD3.5 uses it twice.
#pragma once

#include <cstdint>
#include <vector>

#include "offload/layer_stream.h"
#include "weights/components/clip.h"

namespace fude {

struct Clip {
  Clip(Device& device, WeightFormat format, const WeightSource& source);

  void use(const WeightSource& source);  // from now on; see Layers
  // Calls each(name in plans, part).
  template <class Self, class Each>
  static void for_each_part(Self& self, const Each& each) {
    each(name_of(self.source.component()), self.blocks);
    each(name_of(self.source.component()), self.ends);
  }

  WeightSource source;
  ClipGeometry geometry;
  Layers<ClipBlock> blocks;
  Whole<ClipEnds> ends;
  ClipTables tables;
};

// What a forward pass goes through, once.
struct ClipLayers {
  ClipLayers(Ops& op, Clip& clip) : blocks(op, clip.blocks, 1), ends(op, clip.ends) {}

  LayerStream<ClipBlock> blocks;
  OnDevice<ClipEnds> ends;
};

struct ClipOutput {
  Tensor hidden;  // [b, tokens, c]: after the last block but one, or as many earlier as `skip` says, not normalised
  Tensor pooled;  // [b, projection]: the first end-of-text token after all blocks, normalised and projected
};

// ids [b][tokens]; the end-of-text token is the largest id. skip: of each prompt, fewer than there
// are blocks; empty: none.
ClipOutput clip_forward(Ops& op, const Clip& clip, ClipLayers& layers, const std::vector<std::vector<int32_t>>& ids,
                        const std::vector<int64_t>& skip = {});

}  // namespace fude
