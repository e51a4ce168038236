// scheduler_config.json of FlowMatchEulerDiscreteScheduler.
#pragma once

#include <cstdint>
#include <optional>

#include "weights/config.h"

namespace fude {

enum class TimeShift { exponential, linear };
enum class SigmaSpacing { plain, karras, exponential, beta };

struct ScheduleConfig {
  int64_t train_timesteps = 1000;
  double shift = 3.0;
  bool use_dynamic_shifting = false;
  double base_shift = 0.5, max_shift = 1.15;
  int64_t base_image_seq_len = 256, max_image_seq_len = 4096;
  TimeShift time_shift = TimeShift::exponential;
  SigmaSpacing spacing = SigmaSpacing::plain;
  std::optional<double> shift_terminal;
  bool invert_sigmas = false, stochastic_sampling = false;
};

ScheduleConfig schedule_config(const Config& config);  // Error{bad_checkpoint}

}  // namespace fude
