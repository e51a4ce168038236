// What a request must be like whatever the model is. Engine::complete adds what depends on the model.
#pragma once

#include <cstdint>
#include <vector>

#include "diffusion/guidance.h"
#include "diffusion/names.h"
#include "fude/fude.h"

namespace fude {

// Pixels of one side: 384 patches of 16, as many positions as any SD3.5 has learned (medium; large has 192).
inline constexpr int64_t kLargestSide = 384 * 16;
inline constexpr int64_t kMostSteps = 1000;
inline constexpr int64_t kMostLayers = 1000;      // of any denoiser
inline constexpr int64_t kMostPictures = 100000;  // a folder of a day numbers its files with five digits

// The multiple of 16 from 16 to `largest` that is nearest.
int64_t nearest_side(int64_t pixels, int64_t largest);
// Error{bad_request} unless `pixels` is a multiple of 16 from 16 to `largest`. `side`: width, height, those of a draft.
void check_side(Field side, int64_t pixels, int64_t largest = kLargestSide);
// Error{bad_request} that advises `nearest`, where one of the request's sides is none that can be drawn.
void refuse_size(const Request& request, int64_t largest, const Size& nearest);

// Error{bad_request} that names the field. Sizes of 0 stand for the model's own.
void check_sizes(const Request& request, int64_t largest_side);
// All but the sizes: what is nearest to them depends on the model, so that is left to it where a person is to be told.
void check_settings(const Request& request);
// All of it, for sizes that some model draws.
void check_request(const Request& request);

// The names that a field may have, and what they are called elsewhere; null where it is no such field.
const std::vector<Names>* names_for(Field field);

Guidance guidance_of(const Request& request);
// What a picture's steps take: rows of latents that go through the model, about.
double rows_of_steps(const Request& request);

// VaeOptions::tile_side of its pictures.
int64_t tile_side(const Request& request);

}  // namespace fude
