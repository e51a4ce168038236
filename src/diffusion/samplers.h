// How a velocity moves the latents from one sigma to the next. A sampler is one function and one row of samplers().
#pragma once

#include <string>
#include <vector>

#include "core/backend.h"

namespace fude {

struct Sampler {
  std::string name;        // of the command line
  std::string a1111_name;  // of the PNG's parameters text
  // Moves latents (f32, in place) to the next sigma, given the guided velocity; dt f32 [1], the difference of the sigmas.
  void (*step)(Backend& op, const Tensor& latents, const Tensor& velocity, const Tensor& dt);
};

const std::vector<Sampler>& samplers();        // the first is the default
const Sampler* find_sampler(std::string_view name);  // nullptr when there is none

}  // namespace fude
