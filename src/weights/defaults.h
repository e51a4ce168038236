// The defaults of a model, used where a request leaves something open. The released models are recognised by tensors and names;
// a file fude.json in the model's folder overrides them, or describes other models.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "weights/components/mmdit.h"
#include "weights/config.h"

namespace fude {

// Latents as colours: a row of red, green, blue for each channel, the last one added; −1…1.
using LatentRgb = std::vector<std::array<float, 3>>;

struct ModelDefaults {
  std::string kind;  // "medium", "large", "large turbo", or what fude.json says; empty: none that fude knows
  int64_t steps = 28;
  double guidance = 7;
  // Squares with as many pixels as the smallest and the largest pictures it was trained for; 0: not known.
  int64_t least_side = 0, most_side = 0;
  LatentRgb latent_rgb;  // for previews; empty: not given

  bool was_trained_for(int64_t width, int64_t height) const;  // pixels; a tenth more or less passes
};

// names: what the model is called, in its path and in its files. own: fude.json, whose keys are those above, each of which may
// be absent. Throws Error{bad_checkpoint}.
ModelDefaults model_defaults(const MmditGeometry& geometry, const std::vector<std::string>& names, const Config& own);

}  // namespace fude
