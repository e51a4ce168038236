// Reading and checking the schedule.
#include "weights/schedule_config.h"

#include <string>

#include "weights/quote.h"

namespace fude {

ScheduleConfig schedule_config(const Config& config) {
  ScheduleConfig s;
  const std::string type = config.text("_class_name", "FlowMatchEulerDiscreteScheduler");
  if (type != "FlowMatchEulerDiscreteScheduler")
    config.fail("_class_name", "is " + shown(type) + "; fude knows FlowMatchEulerDiscreteScheduler");
  s.train_timesteps = config.integer("num_train_timesteps", s.train_timesteps, 1, 1'000'000);
  // A file that leaves the shift out means the scheduler's own default, no file means the released model's.
  s.shift = config.number("shift", config.path().empty() ? s.shift : 1.0, 1e-3, 1e3);
  s.use_dynamic_shifting = config.boolean("use_dynamic_shifting", s.use_dynamic_shifting);
  s.base_shift = config.number("base_shift", s.base_shift, -100, 100);
  s.max_shift = config.number("max_shift", s.max_shift, -100, 100);
  s.base_image_seq_len = config.integer("base_image_seq_len", s.base_image_seq_len, 1, 1 << 24);
  s.max_image_seq_len = config.integer("max_image_seq_len", s.max_image_seq_len, 1, 1 << 24);
  if (s.use_dynamic_shifting && s.base_image_seq_len == s.max_image_seq_len)
    config.fail("max_image_seq_len", "equals base_image_seq_len, so that no shift can be computed");
  const std::string shift_type = config.text("time_shift_type", "exponential");
  if (shift_type != "exponential" && shift_type != "linear")
    config.fail("time_shift_type", "is " + shown(shift_type) + "; fude knows exponential and linear");
  s.time_shift = shift_type == "linear" ? TimeShift::linear : TimeShift::exponential;
  if (config.boolean("use_karras_sigmas", false)) s.spacing = SigmaSpacing::karras;
  if (config.boolean("use_exponential_sigmas", false)) s.spacing = SigmaSpacing::exponential;
  if (config.boolean("use_beta_sigmas", false)) s.spacing = SigmaSpacing::beta;
  if (config.has("shift_terminal")) s.shift_terminal = config.number("shift_terminal", 0, 0, 1);
  s.invert_sigmas = config.boolean("invert_sigmas", false);
  s.stochastic_sampling = config.boolean("stochastic_sampling", false);
  return s;
}

}  // namespace fude
