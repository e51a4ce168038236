// The meaning of names that other programs write: samplers, schedules, and features that fude lacks.
#pragma once

#include <string>
#include <string_view>

namespace fude {

// Text without spaces at both ends.
std::string_view stripped(std::string_view text);

// A name or text for a message: one line, not long.
std::string brief(std::string_view text);

// A sampler and a schedule, which many programs write as one: "DPM++ 2M Karras", "euler_simple".
struct SamplerNames {
  std::string sampler, schedule;
};
SamplerNames split_sampler(std::string_view name);

// Whether a schedule that fude lacks spaces steps evenly before the shift, as the checkpoint's own does.
bool is_even_schedule(std::string_view name);

// The common name of a feature that another program used and fude lacks; empty when `name` is not known as one. `name` is a
// field, a JSON key or the type of a node: "Lora hashes", "clip_skip", "ControlNetApplyAdvanced".
std::string name_of_dropped(std::string_view name);

}  // namespace fude
