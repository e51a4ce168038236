// Tiled VAE decoding: overlapping tiles, each decoded by itself and blended into the tiles above and to the left, as in
// diffusers after enable_vae_tiling (AutoencoderKL.tiled_decode). Each tile has its own GroupNorm statistics, so the picture
// differs from the one decoded as a whole.
#pragma once

#include <cstdint>
#include <functional>

#include "core/backend.h"
#include "model/strips.h"

namespace fude {

inline constexpr int64_t kTileSide = 128;  // latents: of the released VAE, whose sample size is 1024 pixels
inline constexpr int64_t kNoTiles = int64_t{1} << 40;

// The tiles of a picture of height × width latents; one, when neither side is larger than `side`. `side` is a multiple of 4,
// since a quarter of it overlaps.
int64_t tile_count(int64_t height, int64_t width, int64_t side);

// Latents f32 [1, channels, h, w] -> pixels, as vae_decode gives them.
using DecodeTile = std::function<void(const Tensor& latents, const DrawRows& draw_rows)>;

// `scale`: the VAE's scale factor, pixels of a latent's side. Pixels that are still to be blended or drawn are kept in the host
// arena.
void draw_in_tiles(Backend& op, const Tensor& latents, int64_t side, int64_t scale, const DecodeTile& decode,
                   const DrawRows& draw_rows);

}  // namespace fude
