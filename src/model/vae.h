// The decoder of the autoencoder (diffusers' AutoencoderKL, 16 latent channels): latents to pixels.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "weights/blocks.h"
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
  Vae(Backend& op, const Checkpoint& checkpoint);

  VaeGeometry geometry;
  Whole<Decoder> decoder;
};

// Called with ("mid" | "up.K", NHWC tensor) by tests that look inside.
using VaeProbe = std::function<void(const std::string& name, const Tensor&)>;

// Latents as the denoiser leaves them, f32 [b, 16, h, w] -> f32 NHWC pixels [b, 8h, 8w, 3], about −1…1.
Tensor vae_decode(Backend& op, Vae& vae, const Tensor& latents, const VaeProbe& probe = {});

}  // namespace fude
