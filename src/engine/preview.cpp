// The published matrix, and its use.
#include "engine/preview.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace fude {
namespace {

// Of SD3's latents as the denoiser has them (ComfyUI, comfy/latent_formats.py, SD3: latent_rgb_factors and their bias): a row
// of red, green, blue for each channel, the last one added; −1…1.
constexpr std::array<std::array<float, 3>, 17> kSd3 = {{{-0.0922f, -0.0175f, 0.0749f},
                                                        {0.0311f, 0.0633f, 0.0954f},
                                                        {0.1994f, 0.0927f, 0.0458f},
                                                        {0.0856f, 0.0339f, 0.0902f},
                                                        {0.0587f, 0.0272f, -0.0496f},
                                                        {-0.0006f, 0.1104f, 0.0309f},
                                                        {0.0978f, 0.0306f, 0.0427f},
                                                        {-0.0042f, 0.1038f, 0.1358f},
                                                        {-0.0194f, 0.0020f, 0.0669f},
                                                        {-0.0488f, 0.0130f, -0.0268f},
                                                        {0.0922f, 0.0988f, 0.0951f},
                                                        {-0.0278f, 0.0524f, -0.0542f},
                                                        {0.0332f, 0.0456f, 0.0895f},
                                                        {-0.0069f, -0.0030f, -0.0810f},
                                                        {-0.0596f, -0.0465f, -0.0293f},
                                                        {-0.1448f, -0.1463f, -0.1189f},
                                                        {0.2394f, 0.2135f, 0.1925f}}};

}  // namespace

std::optional<LatentRgb> latent_rgb_of(const Checkpoint& checkpoint) {
  const size_t rows = static_cast<size_t>(checkpoint.mmdit().channels) + 1;
  LatentRgb own = checkpoint.defaults().latent_rgb;
  if (own.empty()) own.assign(kSd3.begin(), kSd3.end());
  return own.size() == rows ? std::optional(std::move(own)) : std::nullopt;
}

std::vector<uint8_t> rgb_of(std::span<const float> latents, int64_t pixels, const LatentRgb& colors) {
  const auto n = static_cast<size_t>(pixels);
  const size_t channels = colors.size() - 1;
  std::vector<uint8_t> rgb(3 * n);
  std::vector<float> plane(n);
  for (size_t color = 0; color < 3; ++color) {
    std::fill(plane.begin(), plane.end(), colors[channels][color]);
    for (size_t channel = 0; channel < channels; ++channel) {
      const float* values = latents.data() + channel * n;
      const float factor = colors[channel][color];
      for (size_t i = 0; i < n; ++i) plane[i] += factor * values[i];
    }
    for (size_t i = 0; i < n; ++i) {
      const float level = (plane[i] + 1.0f) * 127.5f;
      rgb[3 * i + color] = static_cast<uint8_t>(std::clamp(level, 0.0f, 255.0f) + 0.5f);
    }
  }
  return rgb;
}

void follow_to_the_end(std::vector<float>& before, const std::vector<float>& after, float sigma_before, float sigma_after) {
  const float further = sigma_after / (sigma_before - sigma_after);
  for (size_t i = 0; i < before.size(); ++i) before[i] = after[i] + further * (after[i] - before[i]);
}

void take_back(std::vector<float>& before, const std::vector<float>& after, const std::vector<float>& noise,
               const Evaluation& evaluation) {
  const auto of_x = static_cast<float>(evaluation.x[0]), of_v = static_cast<float>(evaluation.x[kVelocityTerm]),
             of_noise = static_cast<float>(evaluation.x[kNoiseTerm]);
  for (size_t i = 0; i < before.size(); ++i) {
    const float v = (after[i] - of_x * before[i] - of_noise * noise[i]) / of_v;
    before[i] -= evaluation.sigma * v;
  }
}

}  // namespace fude
