#include "engine/advice.h"

#include <algorithm>
#include <cstdio>

#include "engine/latents.h"
#include "engine/stopwatch.h"
#include "weights/quote.h"

namespace fude {

namespace {

constexpr double kTooSlow = 3;       // times what was predicted: no machine is mispredicted so much
constexpr double kWorthTelling = 1;  // seconds of a request

bool on_card(const Plan& plan) { return plan.budget.device > 0; }

const ComponentPlan* find(const Plan& plan, std::string_view name) {
  const auto found = std::find_if(plan.components.begin(), plan.components.end(),
                                  [&](const ComponentPlan& each) { return each.name == name; });
  return found == plan.components.end() ? nullptr : &*found;
}

template <class... Values>
std::string printed(const char* format, Values... values) {
  char text[32];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

constexpr int64_t kMiB = int64_t{1} << 20, kGiB = int64_t{1} << 30;

std::string text_of(int64_t bytes) {
  return bytes < kGiB ? printed("%.0f MiB", static_cast<double>(bytes) / kMiB)
                      : printed("%.1f GiB", static_cast<double>(bytes) / kGiB);
}

// How the transformer would stay.
std::string remedy(bool card, bool has_budget, int64_t all_blocks, int64_t total) {
  if (all_blocks > total) return card ? "; the card is too small for all" : "; the computer has too little memory for all";
  if (has_budget) return (card ? ": --vram " : ": --ram ") + round_budget(all_blocks) + " would keep all";
  return std::string(". Close other programs that use ") + (card ? "the card" : "memory") + ": all would take " +
         text_of(all_blocks);
}

}  // namespace

std::string round_budget(int64_t bytes) {
  bytes += 16 * kMiB;
  const auto rounded = [&](int64_t unit) { return (bytes + unit - 1) / unit * unit; };
  return bytes <= kGiB - 16 * kMiB ? std::to_string(rounded(16 * kMiB) / kMiB) + 'M'
                                   : printed("%gG", static_cast<double>(rounded(kGiB / 4)) / kGiB);
}

std::vector<std::string> advice_on(const Plan& plan, const EngineOptions& options, int64_t all_blocks, int64_t total) {
  const bool card = on_card(plan);
  std::vector<std::string> advice;
  if (const ComponentPlan* transformer = find(plan, "transformer"); transformer && plan.streamed_per_step > 0)
    advice.push_back(
        std::to_string(transformer->resident_parts) + " of the transformer's " + std::to_string(transformer->parts) +
        " parts stay " +
        (card ? "on the card, the others travel there at each step (" : "in memory, the others are read at each step (") +
        text_of(plan.streamed_per_step) + ')' + remedy(card, (card ? options.vram : options.ram) > 0, all_blocks, total) + '.');
  if (const ComponentPlan* vae = find(plan, "vae"); vae && vae->resident_parts == 0 && plan.request.count > 1)
    advice.push_back("The decoder's weights are read again for each picture.");
  if (plan.decode_through_host)
    advice.push_back("Pictures are decoded in " + std::to_string(plan.decode_strips) +
                     " strips, through the computer's memory.");
  return advice;
}

std::vector<std::string> remarks_on(const Request& request, const Checkpoint& checkpoint) {
  std::vector<std::string> remarks;
  if (checkpoint.misses_t5())
    remarks.push_back(
        "this model has no T5, the largest of its three text encoders, so pictures are drawn without it and follow long "
        "prompts "
        "less. Give its file with --t5, or say with --no-t5 that this is meant.");
  const ModelDefaults own = checkpoint.defaults();
  const auto square = [](int64_t side) { return std::to_string(side) + 'x' + std::to_string(side); };
  const Size drawn = request.draft ? Size{request.draft->width, request.draft->height} : Size{request.width, request.height};
  if (!own.was_trained_for(drawn.width, drawn.height)) {
    const std::string sizes = own.least_side == own.most_side ? "of " + square(own.most_side) + " pixels"
                              : own.most_side == 0            ? "of at least " + square(own.least_side) + " pixels"
                              : own.least_side == 0
                                  ? "of at most " + square(own.most_side) + " pixels"
                                  : "from " + square(own.least_side) + " to " + square(own.most_side) + " pixels";
    remarks.push_back("this model was trained for pictures " + sizes +
                      ", or as many in another shape; others may come out wrong.");
  }
  if (!request.negative.empty() && !(request.guidance > 1))
    remarks.push_back("the negative prompt does nothing where guidance is 1 or less. Raise --guidance, or leave it out.");
  return remarks;
}

std::string why_slow(const Plan& plan, const EngineOptions& options, int64_t batch, std::vector<double> seconds) {
  const Request& request = plan.request;
  if (seconds.empty() || plan.predicted.denoise <= 0) return {};
  // All of denoising belongs to these steps: with a draft, or much that comes before the loop, that is too much for one and
  // never too little.
  const int64_t steps = *request.steps - (request.draft ? first_step(*request.steps, request.draft->strength) : 0);
  const auto all_steps = static_cast<double>(steps * ((request.count + batch - 1) / batch));
  const double predicted = plan.predicted.denoise / all_steps;
  const double taken = quantile(std::move(seconds), 0.5);
  if (taken < kTooSlow * predicted || (taken - predicted) * all_steps < kWorthTelling) return {};

  std::string text = "steps took " + printed("%.3g s", taken) + " instead of " + printed("%.3g s", predicted) + ". ";
  const ComponentPlan* transformer = find(plan, "transformer");
  const bool reads_files = transformer && plan.streamed_per_step > transformer->in_host_memory;
  if (on_card(plan))
    text +=
        "The driver may have moved the card's memory to the computer's, or another program uses the card. Close other "
        "programs, or "
        "allow less with --vram; on Windows set \"CUDA - Sysmem Fallback Policy\" to \"Prefer No Sysmem Fallback\" in NVIDIA's "
        "control panel.";
  else
    text +=
        "Another program may use the processor, or the system may have moved memory to the disk. Close other programs, or "
        "allow less "
        "with --ram.";
  if (reads_files) text += " Or the disk is slow: weights are read from it at each step.";
  return text + " If the machine has changed since fude measured it, delete " + shown(options.calibration) + '.';
}

}  // namespace fude
