// The table of schedules: at which sigmas a model is asked, from 1 down to 0.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "diffusion/names.h"

namespace fude {

// A model's own way from noise to pictures: sigma = shift·t / (1 + (shift − 1)·t) for t of 1/train_timesteps … 1 (Esser et al.
// 2024, section 5.3.2).
struct FlowSchedule {
  double shift = 1;
  int64_t train_timesteps = 1000;
};

struct Schedule {
  Names names;
  std::vector<float> (*sigmas)(int64_t steps, const FlowSchedule& flow);  // steps + 1, the last of them 0
};

// diffusers' set_timesteps(sigmas=…): given ones shifted, in f32, then 0.
std::vector<float> shifted_sigmas(const std::vector<double>& given, const FlowSchedule& flow);

const std::vector<Schedule>& schedules();  // the first is the default
const std::vector<Names>& names_of_schedules();
const Schedule* find_schedule(std::string_view name);  // by any of its names; null when there is none

}  // namespace fude
