// The table of samplers. A sampler is the mathematics of diffusion/solvers.h and one row here.
#pragma once

#include <string_view>
#include <vector>

#include "diffusion/names.h"
#include "diffusion/solvers.h"

namespace fude {

struct Sampler {
  Names names;
  int64_t slots;     // latents that it keeps from one evaluation to the next
  bool draws_noise;  // between steps: it goes on with the request's generator
  Evaluations (*evaluations)(Sigmas sigmas);
};

int64_t evaluations_of_a_step(const Sampler& sampler);  // but the last one, which may need fewer

const std::vector<Sampler>& samplers();  // the first is the default
const std::vector<Names>& names_of_samplers();
const Sampler* find_sampler(std::string_view name);  // by any of its names; null when there is none

}  // namespace fude
