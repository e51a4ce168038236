// A row for each sampler.
#include "diffusion/samplers.h"

#include <algorithm>
#include <array>

namespace fude {

const std::vector<Sampler>& samplers() {
  static const std::vector<Sampler> table = {
      {{"euler", "Euler", "FlowMatchEulerDiscreteScheduler", {"k_euler", "sample_euler", "EulerDiscreteScheduler"}},
       0,
       false,
       euler},
      {{"euler_ancestral", "Euler a", "EulerAncestralDiscreteScheduler", {"k_euler_a", "sample_euler_ancestral", "euler_a"}},
       0,
       true,
       euler_ancestral},
      {{"heun", "Heun", "FlowMatchHeunDiscreteScheduler", {"k_heun", "sample_heun", "HeunDiscreteScheduler"}}, 1, false, heun},
      {{"dpmpp_2m", "DPM++ 2M", "DPMSolverMultistepScheduler", {"k_dpmpp_2m", "sample_dpmpp_2m", "dpm++2m"}},
       1,
       false,
       dpmpp_2m},
      {{"dpmpp_2m_sde", "DPM++ 2M SDE", "sde-dpmsolver++", {"k_dpmpp_2m_sde", "sample_dpmpp_2m_sde", "dpmpp_2m_sde_gpu"}},
       1,
       true,
       dpmpp_2m_sde},
      {{"uni_pc", "UniPC", "UniPCMultistepScheduler", {"uni_pc_bh2", "unipc"}}, 3, false, uni_pc},
      {{"deis", "DEIS", "DEISMultistepScheduler"}, 1, false, deis},
      {{"er_sde", "ER SDE", "", {"sample_er_sde"}}, 2, true, er_sde},
      {{"lcm", "LCM", "FlowMatchLCMScheduler", {"sample_lcm", "LCMScheduler"}}, 0, true, lcm},
      {{"res_multistep", "Res Multistep", "", {"sample_res_multistep"}}, 1, false, res_multistep},
  };
  return table;
}

int64_t evaluations_of_a_step(const Sampler& sampler) {
  constexpr std::array kTwoSteps = {1.0f, 0.5f, 0.0f};
  const Evaluations all = sampler.evaluations(kTwoSteps);
  return std::count_if(all.begin(), all.end(), [](const Evaluation& each) { return each.step == 0; });
}

const std::vector<Names>& names_of_samplers() {
  static const std::vector<Names> names = [] {
    std::vector<Names> all;
    for (const Sampler& sampler : samplers()) all.push_back(sampler.names);
    return all;
  }();
  return names;
}

const Sampler* find_sampler(std::string_view name) {
  const Names* found = find_name(names_of_samplers(), name);
  return found ? &samplers()[static_cast<size_t>(found - names_of_samplers().data())] : nullptr;
}

}  // namespace fude
