// A picture in overlapping tiles, each decoded by itself and blended into those above it and to its left, as diffusers
// does after enable_vae_tiling (AutoencoderKL.tiled_decode). A tile has GroupNorm's statistics of its own, so this is
// another picture than the whole decode's.
#pragma once

#include <cstdint>
#include <functional>

#include "core/backend.h"
#include "model/strips.h"

namespace fude {

inline constexpr int64_t kTileSide = 128;  // latents: of the released VAE, whose sample size is 1024 pixels
inline constexpr int64_t kNoTiles = int64_t{1} << 40;

// Of a picture of so many latents. The side of a tile is a multiple of 4, since a quarter of it overlaps. A picture with
// no larger side is one tile.
int64_t tile_count(int64_t height, int64_t width, int64_t side);

// Latents f32 [1, channels, h, w] -> pixels, as vae_decode gives them.
using DecodeTile = std::function<void(const Tensor& latents, const DrawRows& draw_rows)>;

// `scale`: the VAE's scale factor, pixels of a latent's side. What is still to be blended or drawn waits in the host's arena.
void draw_in_tiles(Backend& op, const Tensor& latents, int64_t side, int64_t scale, const DecodeTile& decode,
                   const DrawRows& draw_rows);

}  // namespace fude
