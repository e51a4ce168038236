// Adding up seconds of computing and of copying, which overlap on a card.
#include "engine/prediction.h"

#include <algorithm>

#include "weights/component.h"

namespace fude {

namespace {

// Of weights that do not stay, once: from the host's memory what is kept there, the others from their file.
double streaming_seconds(const ComponentPlan& component, const Rates& rates) {
  const int64_t streamed = component.weights - component.resident;
  const int64_t from_host = rates.upload > 0 ? std::min(component.in_host_memory, streamed) : 0;
  return (from_host > 0 ? static_cast<double>(from_host) / rates.upload : 0) +
         static_cast<double>(streamed - from_host) / rates.load;
}

}  // namespace

bool has_host_offloaded(const Plan& plan) {
  return std::any_of(plan.components.begin(), plan.components.end(),
                     [](const ComponentPlan& component) { return component.in_host_memory > 0; });
}

Seconds predicted_seconds(const StageCosts& costs, const Rates& rates, const Plan& plan) {
  const auto together = [&](double streaming, double compute) {
    return rates.upload > 0 ? std::max(streaming, compute) : streaming + compute;
  };
  Seconds seconds;
  double encoders = 0, blocks = 0;
  bool encodes = false;
  for (const ComponentPlan& component : plan.components) {
    const double streaming = streaming_seconds(component, rates);
    const double stays = static_cast<double>(component.resident) / rates.load;
    const bool encoder = std::any_of(std::begin(kComponents), std::end(kComponents),
                                     [&](Component each) { return encodes_text(each) && name_of(each) == component.name; });
    encodes = encodes || encoder;
    (encoder ? encoders : seconds.load) += stays;
    if (rates.host > 0) seconds.load += static_cast<double>(component.in_host_memory) / rates.host;
    if (encoder) encoders += streaming;
    else if (component.name == "transformer") blocks = streaming;
    else (component.name == "vae" ? seconds.decode : seconds.denoise) += streaming;
  }
  if (encodes) seconds.encode = together(encoders, costs.encode.seconds);
  seconds.denoise += costs.conditioning.seconds;
  for (const StepCosts& steps : {costs.steps, costs.drafts})
    seconds.denoise += together(steps.count * blocks, steps.work.seconds);
  seconds.decode += costs.decode.seconds;
  seconds.load *= median_of(has_host_offloaded(plan) ? rates.stage_ratios.host_offloaded : rates.stage_ratios.load);
  seconds.encode *= median_of(rates.stage_ratios.encode);
  seconds.denoise *= median_of(rates.stage_ratios.denoise);
  seconds.decode *= median_of(rates.stage_ratios.decode);
  seconds.total = seconds.load + seconds.encode + seconds.denoise + seconds.decode;
  return seconds;
}

}  // namespace fude
