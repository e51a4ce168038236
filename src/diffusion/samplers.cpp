#include "diffusion/samplers.h"

namespace fude {

namespace {

void euler(Backend& op, const Tensor& latents, const Tensor& velocity, const Tensor& dt) {
  op.euler_step(latents, velocity, dt);
}

}  // namespace

const std::vector<Sampler>& samplers() {
  static const std::vector<Sampler> table = {
      {"euler", "Euler", euler},
  };
  return table;
}

const Sampler* find_sampler(std::string_view name) {
  for (const Sampler& sampler : samplers())
    if (sampler.name == name) return &sampler;
  return nullptr;
}

}  // namespace fude
