// Guidance: of which rows a step's batch consists, and how their velocities become one.
#pragma once

#include <cstdint>
#include <vector>

#include "core/ops.h"

namespace fude {

// Rows come kind by kind, each with a row for every picture: the negative prompt's, the prompt's, and the prompt's that skip
// layers.
struct Guidance {
  float scale = 1;    // classifier-free guidance; 1 or less: only the prompt's rows
  float rescale = 0;  // how far the standard deviation is brought back to that of the prompt's velocity
  // Skip-layer guidance (SD3.5; diffusers' StableDiffusion3Pipeline): away from what the model draws without these layers.
  std::vector<int64_t> skipped_layers;
  float skip_scale = 0;
  double skip_start = 0, skip_end = 0;  // the part of the steps in which it is done

  bool guided() const { return scale > 1; }
  bool skips() const { return guided() && !skipped_layers.empty() && skip_scale != 0; }
  // Whether step `step` of `steps` has rows that skip layers.
  bool skips_at(int64_t step, int64_t steps) const;
  int64_t kinds(bool skipping) const { return guided() ? skipping ? 3 : 2 : 1; }  // of rows

  // f32 [kinds·n, …] -> [n, …]
  Tensor velocity(Ops& op, const Tensor& rows, bool skipping) const;
};

}  // namespace fude
