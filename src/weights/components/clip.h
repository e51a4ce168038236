// CLIP's text encoder (Radford et al. 2021; transformers' CLIPTextModelWithProjection): its sizes, its weights, and how files
// name and order them. SD3.5 has two of them.
#pragma once

#include <cstdint>
#include <span>

#include "core/activation.h"
#include "core/weight.h"
#include "weights/config.h"
#include "weights/layouts.h"
#include "weights/loader.h"

namespace fude {

class ComponentTensors;

struct ClipGeometry {
  int64_t hidden = 0, intermediate = 0, layers = 0, heads = 0;
  int64_t vocab = 0, positions = 0;
  int64_t projection = 0;  // size of the pooled output
  Activation activation = Activation::gelu_erf;
  float eps = 1e-5f;
};

struct ClipBlock {
  Norm norm1, norm2;
  Linear qkv, out;  // attention
  Linear fc1, fc2;  // MLP
};

struct ClipEnds {
  Norm final_norm;
  Linear projection;  // without weight: identity
};

struct ClipTables {  // rows are looked up in the file
  Source tokens, positions;
};

extern const std::span<const Layout> kClipLLayouts, kClipGLayouts;

ClipGeometry clip_geometry(const ComponentTensors& tensors, const Config& config);  // Error{bad_checkpoint}
ClipBlock load_clip_block(Loader& file, const ClipGeometry& g, int64_t i);
ClipEnds load_clip_ends(Loader& file, const ClipGeometry& g);
ClipTables load_tables(Loader& file, const ClipGeometry& g);
void load_all(Loader& file, const ClipGeometry& g);

}  // namespace fude
