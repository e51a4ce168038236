// What names mean that other programs write: of samplers, schedules, and what else they draw with.
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

// Whether a schedule's steps are spaced evenly before the shift, as fude's are.
bool is_even_schedule(std::string_view name);

// What a person calls a thing that another program drew with and fude does not; empty for what is not known to be such. `name`
// is a field, a JSON key or a node's type: "Lora hashes", "clip_skip", "ControlNetApplyAdvanced".
std::string name_of_dropped(std::string_view name);

}  // namespace fude
