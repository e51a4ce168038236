// An evaluation's sums as the row of numbers that a device multiplies by.
#include "diffusion/evaluation.h"

namespace fude {

std::vector<float> coefficients_of(const Evaluation& evaluation, bool noise) {
  std::vector<float> all;
  const auto add = [&](const Sum& sum) {
    for (size_t term = 0; term <= evaluation.slots.size(); ++term) all.push_back(static_cast<float>(sum[term]));
    all.push_back(static_cast<float>(sum[kVelocityTerm]));
    if (noise) all.push_back(static_cast<float>(sum[kNoiseTerm]));
  };
  add(evaluation.x);
  for (const Sum& sum : evaluation.slots) add(sum);
  return all;
}

}  // namespace fude
