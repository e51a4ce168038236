// How a velocity moves the latents from one sigma to the next. A sampler is one function and one row of samplers().
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/ops.h"

namespace fude {

struct Sampler {
  std::string name;                      // of the command line
  std::string a1111_name;                // of the PNG's parameters text, written and read
  std::vector<std::string> other_names;  // in ComfyUI, diffusers, k-diffusion
  // Moves latents (f32, in place) to the next sigma, given the guided velocity; dt f32 [1], the difference of the sigmas.
  void (*step)(Ops& op, const Tensor& latents, const Tensor& velocity, const Tensor& dt);
};

const std::vector<Sampler>& samplers();  // the first is the default
// By any of its names, in any spelling; null when there is none.
const Sampler* find_sampler(std::string_view name, std::span<const Sampler> among = samplers());
// A1111's name for one of ours, and ours for one of A1111's; a name that is none stays as it is.
std::string a1111_name_of(const std::string& sampler, std::span<const Sampler> among = samplers());
std::string name_from_a1111(std::string_view a1111_name, std::span<const Sampler> among = samplers());

// A name without the differences of spelling: "DPM++ 2M", "dpmpp_2m" and "Dpmpp-2m" are all "dpmpp2m".
std::string folded(std::string_view name);

}  // namespace fude
