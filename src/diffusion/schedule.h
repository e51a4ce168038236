// The flow-matching schedule of SD3 (Esser et al. 2024, section 5.3.2; diffusers' FlowMatchEulerDiscreteScheduler, static
// shift).
#pragma once

#include <cstdint>
#include <vector>

namespace fude {

struct Schedule {
  std::vector<float> sigmas;     // steps + 1, from 1 down to 0
  std::vector<float> timesteps;  // steps: 1000·sigma
};

// The shift is applied twice on the way to the lower end, as diffusers does; the last step starts at a sigma above 0.
Schedule make_schedule(int64_t steps, double shift, int64_t train_timesteps);

}  // namespace fude
