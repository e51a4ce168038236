// MMDiT-X, the denoiser: its sizes, its weights, and how files name and order them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/weight.h"
#include "weights/config.h"
#include "weights/layouts.h"
#include "weights/loader.h"

namespace fude {

class ComponentTensors;

struct MmditGeometry {
  int64_t width = 0, heads = 0, head_dim = 0, layers = 0;
  int64_t patch = 0, channels = 0, out_channels = 0;
  int64_t context_width = 0, pooled_width = 0;
  int64_t pos_embed_max = 0;  // side of the table of positions
  std::vector<bool> dual;     // per block: the image also attends to itself
  bool qk_norm = false;
  int64_t sample_size = 128;  // the model's own picture side, in latents
};

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

struct MmditTables {
  Source pos_embed;  // [P², D]; the window for a picture is read from the file
};

// Columns of a block's modulation: three vectors for each of attention, MLP and, in dual blocks, the second attention; the text
// stream of the last block ends after its attention's norm.
int64_t image_columns(const MmditGeometry& g, int64_t i);
int64_t text_columns(const MmditGeometry& g, int64_t i);

extern const std::span<const Layout> kMmditLayouts;

MmditGeometry mmdit_geometry(const ComponentTensors& tensors, const Config& config);  // Error{bad_checkpoint}
Embedders load_embedders(Loader& file, const MmditGeometry& g);
ModulationWeights load_modulation(Loader& file, const MmditGeometry& g, int64_t i);
JointBlock load_joint_block(Loader& file, const MmditGeometry& g, int64_t i);
FinalLayer load_final_layer(Loader& file, const MmditGeometry& g);
MmditTables load_tables(Loader& file, const MmditGeometry& g);
void load_all(Loader& file, const MmditGeometry& g);

}  // namespace fude
