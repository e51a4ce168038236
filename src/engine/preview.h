// Small pictures of latents on their way: colours that are a linear function of the channels.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "diffusion/evaluation.h"
#include "weights/checkpoint.h"

namespace fude {

// The model's own from its fude.json, else those published for SD3's VAE where there are as many channels; else none.
std::optional<LatentRgb> latent_rgb_of(const Checkpoint& checkpoint);

// Latents [channels, pixels] as 8-bit RGB, rows top to bottom.
std::vector<uint8_t> rgb_of(std::span<const float> latents, int64_t pixels, const LatentRgb& colors);

// What a step takes for the finished latents, in place of those before it: the straight way through `after`, followed to sigma
// 0.
void follow_to_the_end(std::vector<float>& before, const std::vector<float>& after, float sigma_before, float sigma_after);
// The same of an evaluation that added noise, and read no slots.
void take_back(std::vector<float>& before, const std::vector<float>& after, const std::vector<float>& noise,
               const Evaluation& evaluation);

}  // namespace fude
