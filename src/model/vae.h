// The decoder of the autoencoder (diffusers' AutoencoderKL, 16 latent channels): latents to pixels.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "model/strips.h"
#include "model/vae_tiling.h"
#include "offload/layers.h"
#include "weights/geometry.h"

namespace fude {

struct Resnet {
  Norm norm1, norm2;
  Conv conv1, conv2;
  std::optional<Conv> shortcut;  // where the number of channels changes
};

struct VaeAttention {
  Norm norm;
  Linear qkv, out;
};

struct UpBlock {
  std::vector<Resnet> resnets;
  std::optional<Conv> upsample;
};

struct Decoder {
  Conv conv_in;
  Resnet mid1, mid2;
  std::optional<VaeAttention> attention;
  std::vector<UpBlock> up;
  Norm norm_out;
  Conv conv_out;
};

struct Vae {
  Vae(Device& device, DType dtype, const Checkpoint& checkpoint);

  VaeGeometry geometry;
  Whole<Decoder> decoder;
};

struct VaeOptions {
  int64_t tile_side = kNoTiles;     // latents; a larger side is decoded in tiles, which is another picture (model/vae_tiling.h)
  std::function<void()> tile_done;  // called after each of them, or after the whole
  // For tests: called with ("mid" | "up.K", NHWC tensor).
  std::function<void(const std::string& name, const Tensor&)> probe;
};

// One picture's latents as the denoiser leaves them, f32 [1, 16, h, w] -> pixels 8h × 8w, about −1…1, from top to bottom. The
// plan changes only the memory that the picture or a tile of it takes, not the result.
void vae_decode(Ops& op, Vae& vae, const Tensor& latents, const DecodePlan& plan, const DrawRows& draw_rows,
                const VaeOptions& options = {});

}  // namespace fude
