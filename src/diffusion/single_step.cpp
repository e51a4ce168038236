// Samplers that forget a step when it is done: Euler, Heun, Euler ancestral, LCM.
#include <algorithm>
#include <cmath>

#include "diffusion/solvers.h"

namespace fude {

Evaluations euler(Sigmas sigmas) {
  Evaluations all;
  for (size_t i = 0; i + 1 < sigmas.size(); ++i) {
    const double s = sigmas[i], t = sigmas[i + 1];
    all.push_back({static_cast<int64_t>(i), sigmas[i], kX + (t - s) * kV});
  }
  return all;
}

Evaluations heun(Sigmas sigmas) {
  Evaluations all;
  for (size_t i = 0; i + 1 < sigmas.size(); ++i) {
    const auto step = static_cast<int64_t>(i);
    const double s = sigmas[i], t = sigmas[i + 1];
    const Sum half_way = kX + (t - s) / 2 * kV;
    all.push_back({step, sigmas[i], kX + (t - s) * kV, {half_way}});
    if (t > 0) all.push_back({step, sigmas[i + 1], slot(0) + (t - s) / 2 * kV, {Sum()}});
  }
  return all;
}

Evaluations euler_ancestral(Sigmas sigmas) {
  Evaluations all;
  for (size_t i = 0; i + 1 < sigmas.size(); ++i) {
    const double s = sigmas[i], t = sigmas[i + 1];
    const double down = t * t / s;  // where the step goes
    const double back = (1 - t) / (1 - down);
    const double noise = std::sqrt(std::max(0.0, t * t - down * down * back * back));
    all.push_back({static_cast<int64_t>(i), sigmas[i], back * (kX + (down - s) * kV) + noise * kNoise});
  }
  return all;
}

Evaluations lcm(Sigmas sigmas) {
  Evaluations all;
  for (size_t i = 0; i + 1 < sigmas.size(); ++i) {
    const double s = sigmas[i], t = sigmas[i + 1];
    all.push_back({static_cast<int64_t>(i), sigmas[i], (1 - t) * denoised(s) + t * kNoise});
  }
  return all;
}

}  // namespace fude
