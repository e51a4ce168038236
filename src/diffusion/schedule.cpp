// The mathematics of each schedule, and its row.
#include "diffusion/schedule.h"

#include <algorithm>
#include <cmath>

#include "diffusion/beta_distribution.h"

namespace fude {

namespace {

double shifted(double t, const FlowSchedule& flow) { return flow.shift * t / (1.0 + (flow.shift - 1.0) * t); }

// The training sigmas are f32: the smallest is shifted in f32, the largest is exactly 1.
float smallest_sigma(const FlowSchedule& flow) {
  const auto s = static_cast<float>(flow.shift);
  const auto train = static_cast<float>(flow.train_timesteps);
  return s * (1.0f / train) / (1.0f + (s - 1.0f) * (1.0f / train));
}

// numpy's linspace: the last value is exactly `last`.
double between(double first, double last, int64_t i, int64_t intervals) {
  if (i == 0) return first;
  return i == intervals ? last : first + static_cast<double>(i) * ((last - first) / static_cast<double>(intervals));
}

// `at(i)` for every step, then 0.
template <class At>
std::vector<float> each(int64_t steps, const At& at) {
  std::vector<float> sigmas;
  for (int64_t i = 0; i < steps; ++i) sigmas.push_back(static_cast<float>(at(i)));
  sigmas.push_back(0.0f);
  return sigmas;
}

// diffusers' FlowMatchEulerDiscreteScheduler: the shift is applied twice on the way to the lower end, and the last step starts
// at a sigma above 0. ComfyUI's normal is the same.
std::vector<float> checkpoints_own(int64_t steps, const FlowSchedule& flow) {
  const auto train = static_cast<double>(flow.train_timesteps);
  const double last = static_cast<double>(smallest_sigma(flow)) * train;
  return each(steps, [&](int64_t i) { return shifted(between(train, last, i, steps - 1) / train, flow); });
}

// ComfyUI's and A1111's simple_scheduler.
std::vector<float> simple(int64_t steps, const FlowSchedule& flow) {
  const auto train = static_cast<double>(flow.train_timesteps);
  return each(steps, [&](int64_t i) {
    const double skipped = std::floor(static_cast<double>(i) * (train / static_cast<double>(steps)));
    return shifted((train - skipped) / train, flow);
  });
}

std::vector<float> sgm_uniform(int64_t steps, const FlowSchedule& flow) {
  return each(steps, [&](int64_t i) { return shifted(between(1, smallest_sigma(flow), i, steps), flow); });
}

// diffusers' use_karras_sigmas, use_exponential_sigmas and use_beta_sigmas: other ways between the ends of the checkpoint's
// own.
template <class At>
std::vector<float> between_ends(int64_t steps, const FlowSchedule& flow, const At& at) {
  const std::vector<float> own = checkpoints_own(steps, flow);
  const double most = own.front(), least = own[static_cast<size_t>(steps - 1)];
  return each(steps, [&](int64_t i) { return at(most, least, between(0, 1, i, std::max<int64_t>(steps - 1, 1))); });
}

std::vector<float> karras(int64_t steps, const FlowSchedule& flow) {
  constexpr double kRho = 7;
  return between_ends(steps, flow, [](double most, double least, double part) {
    const double from = std::pow(most, 1 / kRho), to = std::pow(least, 1 / kRho);
    return std::pow(from + part * (to - from), kRho);
  });
}

std::vector<float> exponential(int64_t steps, const FlowSchedule& flow) {
  return between_ends(steps, flow, [](double most, double least, double part) {
    return std::exp(std::log(most) + part * (std::log(least) - std::log(most)));
  });
}

std::vector<float> beta(int64_t steps, const FlowSchedule& flow) {
  constexpr double kAlpha = 0.6, kBeta = 0.6;
  return between_ends(steps, flow, [](double most, double least, double part) {
    return least + (most - least) * beta_quantile(1 - part, kAlpha, kBeta);
  });
}

// ComfyUI's linear_quadratic_schedule, from Mochi: the first half of the steps covers 0.025 evenly, the others the rest.
std::vector<float> linear_quadratic(int64_t steps, const FlowSchedule&) {
  constexpr double kThreshold = 0.025;
  const auto n = static_cast<double>(steps), even = static_cast<double>(steps / 2), rest = n - even;
  const double missing = even - kThreshold * n;
  const double square = missing / (even * rest * rest);
  const double linear = kThreshold / even - 2 * missing / (rest * rest);
  return each(steps, [&](int64_t i) {
    const auto at = static_cast<double>(i);
    if (i == 0) return 1.0;
    return 1.0 - (at < even ? at * kThreshold / even : square * at * at + linear * at + square * even * even);
  });
}

}  // namespace

std::vector<float> shifted_sigmas(const std::vector<double>& given, const FlowSchedule& flow) {
  const auto shift = static_cast<float>(flow.shift), more = static_cast<float>(flow.shift - 1);
  std::vector<float> sigmas;
  for (const double each : given) {
    const auto sigma = static_cast<float>(each);
    sigmas.push_back(shift * sigma / (1.0f + more * sigma));
  }
  sigmas.push_back(0.0f);
  return sigmas;
}

const std::vector<Schedule>& schedules() {
  // A1111's text has always called the checkpoint's own "Simple", which is what A1111 has nearest; its label of simple is that
  // too, so simple is written by its other name there.
  static const std::vector<Schedule> table = {
      {{"checkpoint", "Simple", "FlowMatchEulerDiscreteScheduler", {"automatic", "discrete", "default"}}, checkpoints_own},
      {{"simple", "simple", ""}, simple},
      {{"normal", "Normal", ""}, checkpoints_own},
      {{"sgm_uniform", "SGM Uniform", ""}, sgm_uniform},
      {{"beta", "Beta", "use_beta_sigmas"}, beta},
      {{"karras", "Karras", "use_karras_sigmas"}, karras},
      {{"exponential", "Exponential", "use_exponential_sigmas"}, exponential},
      {{"linear_quadratic", "Linear Quadratic", ""}, linear_quadratic},
  };
  return table;
}

const std::vector<Names>& names_of_schedules() {
  static const std::vector<Names> names = [] {
    std::vector<Names> all;
    for (const Schedule& schedule : schedules()) all.push_back(schedule.names);
    return all;
  }();
  return names;
}

const Schedule* find_schedule(std::string_view name) {
  const Names* found = find_name(names_of_schedules(), name);
  return found ? &schedules()[static_cast<size_t>(found - names_of_schedules().data())] : nullptr;
}

}  // namespace fude
