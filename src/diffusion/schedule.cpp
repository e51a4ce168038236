// Computes the sigmas and timesteps.
#include "diffusion/schedule.h"

namespace fude {

Schedule make_schedule(int64_t steps, double shift, int64_t train_timesteps) {
  const auto shifted = [shift](double sigma) { return shift * sigma / (1.0 + (shift - 1.0) * sigma); };
  const auto train = static_cast<double>(train_timesteps);
  // The training sigmas are f32: the smallest is shifted in f32, the largest is exactly 1.
  const auto s = static_cast<float>(shift);
  const float smallest = s * (1.0f / static_cast<float>(train)) / (1.0f + (s - 1.0f) * (1.0f / static_cast<float>(train)));
  const double first = train, last = static_cast<double>(smallest) * train;

  Schedule schedule;
  for (int64_t i = 0; i < steps; ++i) {
    double tau = first;
    if (i > 0) tau = i == steps - 1 ? last : first + static_cast<double>(i) * ((last - first) / static_cast<double>(steps - 1));
    const auto sigma = static_cast<float>(shifted(tau / train));
    schedule.sigmas.push_back(sigma);
    schedule.timesteps.push_back(sigma * static_cast<float>(train));
  }
  schedule.sigmas.push_back(0.0f);
  return schedule;
}

}  // namespace fude
