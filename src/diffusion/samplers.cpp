// The table of samplers and the search by name.
#include "diffusion/samplers.h"

#include "core/characters.h"

namespace fude {

namespace {

void euler(Ops& op, const Tensor& latents, const Tensor& velocity, const Tensor& dt) { op.euler_step(latents, velocity, dt); }

}  // namespace

const std::vector<Sampler>& samplers() {
  static const std::vector<Sampler> table = {
      {"euler", "Euler", {"k_euler", "sample_euler", "EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler"}, euler},
  };
  return table;
}

const Sampler* find_sampler(std::string_view name, std::span<const Sampler> among) {
  for (const Sampler& sampler : among)
    if (sampler.name == name) return &sampler;
  const std::string text = folded(name);
  for (const Sampler& sampler : among) {
    if (folded(sampler.name) == text || folded(sampler.a1111_name) == text) return &sampler;
    for (const std::string& other : sampler.other_names)
      if (folded(other) == text) return &sampler;
  }
  return nullptr;
}

std::string a1111_name_of(const std::string& sampler, std::span<const Sampler> among) {
  const Sampler* known = find_sampler(sampler, among);
  return known ? known->a1111_name : sampler;
}

std::string name_from_a1111(std::string_view a1111_name, std::span<const Sampler> among) {
  const Sampler* known = find_sampler(a1111_name, among);
  return known ? known->name : std::string(a1111_name);
}

std::string folded(std::string_view name) {
  std::string text;
  for (const char c : lower_case(std::string(name))) {
    if (c == '+') text += 'p';
    else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) text += c;
  }
  return text;
}

}  // namespace fude
