// The decoder of the autoencoder (diffusers' AutoencoderKL, 16 latent channels): latents to pixels.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "model/strips.h"
#include "model/vae_tiling.h"
#include "offload/layer_stream.h"
#include "weights/components/vae.h"

namespace fude {

struct Vae {
  Vae(Device& device, WeightFormat format, const WeightSource& source);

  void use(const WeightSource& source);  // from now on; see Layers
  // Calls each(name in plans, part).
  template <class Self, class Each>
  static void for_each_part(Self& self, const Each& each) {
    each(name_of(Component::vae), self.decoder);
  }

  WeightSource source;
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
void vae_decode(Ops& op, const VaeGeometry& geometry, const Decoder& decoder, const Tensor& latents, const DecodePlan& plan,
                const DrawRows& draw_rows, const VaeOptions& options = {});

}  // namespace fude
