// The autoencoder (diffusers' AutoencoderKL, 16 latent channels): its sizes, its weights, and how files name and order them.
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

struct VaeGeometry {
  std::vector<int64_t> block_out_channels;  // from the pixels inwards
  int64_t layers_per_block = 0, groups = 0;
  int64_t channels = 0, latent_channels = 0;
  bool mid_attention = false;
  float scaling_factor = 1.5305f, shift_factor = 0.0609f;

  int64_t scale_factor() const { return int64_t{1} << (block_out_channels.size() - 1); }  // pixels of a latent's side
};

struct Resnet {
  Norm norm1, norm2;
  Conv conv1, conv2;
  std::optional<Conv> shortcut;  // where the number of channels changes
};

struct VaeAttention {
  Norm norm;
  Linear qkv, out;
};

struct DownBlock {
  std::vector<Resnet> resnets;
  std::optional<Conv> downsample;
};

// Every whole VAE has one. Nothing encodes pictures yet.
struct Encoder {
  Conv conv_in;
  std::vector<DownBlock> down;
  Resnet mid1, mid2;
  std::optional<VaeAttention> attention;
  Norm norm_out;
  Conv conv_out;  // to means and logarithms of variances
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

extern const std::span<const Layout> kVaeLayouts;

VaeGeometry vae_geometry(const ComponentTensors& tensors, const Config& config);  // Error{bad_checkpoint}
Encoder load_encoder(Loader& file, const VaeGeometry& g);
Decoder load_decoder(Loader& file, const VaeGeometry& g);
void load_all(Loader& file, const VaeGeometry& g);

}  // namespace fude
