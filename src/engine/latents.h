// What pictures begin as, on the host: noise between two seeds', or an enlarged draft with noise.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fude/fude.h"

namespace fude {

// The point `amount` of the way from a to b along the sphere both lie on: it has as much energy as they have, which a straight
// line between two noises has not (Shoemake 1985, "Animating rotation with quaternion curves").
std::vector<float> slerp(const std::vector<float>& a, const std::vector<float>& b, double amount);

// Latents [channels, from.height, from.width] at another size; bilinear, as torch's interpolate with align_corners=False.
std::vector<float> resized(const std::vector<float>& latents, int64_t channels, Size from, Size to);

// Latents on the straight way of flow matching to noise: (1 − sigma)·latents + sigma·noise.
std::vector<float> noised(const std::vector<float>& latents, const std::vector<float>& noise, float sigma);

// 16 hexadecimal digits that tell latents apart.
std::string hash_of(const std::vector<float>& latents);

// Error{bad_request} unless a request's latents, where it has some, are numbers and as many as its pictures of its size have.
void check_latents(const Request& complete, int64_t channels);

// The first of `steps` steps that a partial denoising does (diffusers' img2img).
int64_t first_step(int64_t steps, double strength);

}  // namespace fude
