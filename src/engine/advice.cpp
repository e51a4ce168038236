// Wording advice, remarks and why steps are slow.
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
void add_remedy(Message& message, bool card, bool has_budget, int64_t all_blocks, int64_t total) {
  if (all_blocks > total) {
    message.what += card ? "; the card is too small for all" : "; the computer has too little memory for all";
    return;
  }
  message.what += has_budget ? "; a larger budget would keep all" : "; all would take " + text_of(all_blocks);
  if (has_budget)
    message.remedies.push_back(
        {.kind = Remedy::allow_memory, .field = card ? Field::vram : Field::ram, .bytes = round_budget(all_blocks)});
  else message.remedies.push_back({Remedy::close_other_programs});
}

}  // namespace

int64_t round_budget(int64_t bytes) {
  bytes += 16 * kMiB;
  const int64_t unit = bytes <= kGiB - 16 * kMiB ? 16 * kMiB : kGiB / 4;
  return (bytes + unit - 1) / unit * unit;
}

std::vector<Message> advice_on(const Plan& plan, const EngineOptions& options, int64_t all_blocks, int64_t total) {
  const bool card = on_card(plan);
  std::vector<Message> advice;
  if (const ComponentPlan* transformer = find(plan, "transformer"); transformer && plan.streamed_per_step > 0) {
    Message& message = advice.emplace_back();
    message.what =
        std::to_string(transformer->resident_parts) + " of the transformer's " + std::to_string(transformer->parts) +
        " parts stay " +
        (card ? "on the card, the others travel there at each step (" : "in memory, the others are read at each step (") +
        text_of(plan.streamed_per_step) + ')';
    message.where.component = transformer->name;
    add_remedy(message, card, (card ? options.vram : options.ram) > 0, all_blocks, total);
  }
  if (const ComponentPlan* vae = find(plan, "vae"); vae && vae->resident_parts == 0 && plan.request.count > 1)
    advice.push_back({.what = "The decoder's weights are read again for each picture.", .where = {.component = "vae"}});
  if (plan.decode_through_host)
    advice.push_back(
        {.what = "Pictures are decoded in " + std::to_string(plan.decode_strips) + " strips, through the computer's memory.",
         .where = {.component = "vae"}});
  return advice;
}

Message beside_others(double taken, int needed) {
  return {.what = "Other programs take " + printed("%.1f", taken) + " of the " + std::to_string(needed) +
                  (needed == 1 ? " processor" : " processors") +
                  " that this needs now, so it takes longer than predicted while they do.",
          .remedies = {{Remedy::close_other_programs}}};
}

std::vector<Message> remarks_on(const Request& request, const Checkpoint& checkpoint) {
  std::vector<Message> remarks;
  if (checkpoint.misses_t5())
    remarks.push_back(
        {.what =
             "this model has no T5, the largest of its three text encoders, so pictures are drawn without it and follow long "
             "prompts less",
         .field = Field::t5,
         .where = {.component = "t5"},
         .remedies = {{Remedy::give, Field::t5}, {Remedy::use_value, Field::no_t5, {"true"}}}});
  const ModelDefaults own = checkpoint.defaults();
  const auto square = [](int64_t side) { return std::to_string(side) + 'x' + std::to_string(side); };
  const Size drawn = request.draft ? Size{request.draft->width, request.draft->height} : Size{request.width, request.height};
  if (!own.was_trained_for(drawn.width, drawn.height)) {
    const std::string sizes = own.least_side == own.most_side ? "of " + square(own.most_side) + " pixels"
                              : own.most_side == 0            ? "of at least " + square(own.least_side) + " pixels"
                              : own.least_side == 0
                                  ? "of at most " + square(own.most_side) + " pixels"
                                  : "from " + square(own.least_side) + " to " + square(own.most_side) + " pixels";
    remarks.push_back(
        {.what = "this model was trained for pictures " + sizes + ", or as many in another shape; others may come out wrong.",
         .field = Field::size});
  }
  if (!request.negative.empty() && !(request.guidance > 1))
    remarks.push_back({.what = "the negative prompt does nothing where guidance is 1 or less",
                       .field = Field::negative,
                       .remedies = {{Remedy::raise, Field::guidance}, {Remedy::leave_out, Field::negative}}});
  if (request.skip_layers && !(request.guidance > 1))
    remarks.push_back({.what = "layers are skipped only where guidance is above 1",
                       .field = Field::skip_layers,
                       .remedies = {{Remedy::raise, Field::guidance}, {Remedy::leave_out, Field::skip_layers}}});
  return remarks;
}

std::optional<Message> why_slow(const Plan& plan, const EngineOptions& options, int64_t batch, std::vector<double> seconds) {
  const Request& request = plan.request;
  if (seconds.empty() || plan.predicted.denoise <= 0) return {};
  // All of denoising belongs to these steps: with a draft, or much that comes before the loop, that is too much for one and
  // never too little.
  const int64_t steps = *request.steps - (request.draft ? first_step(*request.steps, request.draft->strength) : 0);
  const auto all_steps = static_cast<double>(steps * ((request.count + batch - 1) / batch));
  const double predicted = plan.predicted.denoise / all_steps;
  const double taken = quantile(std::move(seconds), 0.5);
  if (taken < kTooSlow * predicted || (taken - predicted) * all_steps < kWorthTelling) return {};

  Message message;
  message.what = "steps took " + printed("%.3g s", taken) + " instead of " + printed("%.3g s", predicted) + ". ";
  const ComponentPlan* transformer = find(plan, "transformer");
  const bool reads_files = transformer && plan.streamed_per_step > transformer->in_host_memory;
  message.what +=
      on_card(plan)
          ? "The driver may have moved the card's memory to the computer's, or another program uses the card; on Windows "
            "set \"CUDA - Sysmem Fallback Policy\" to \"Prefer No Sysmem Fallback\" in NVIDIA's control panel."
          : "Another program may use the processor, or the system may have moved memory to the disk.";
  if (reads_files) message.what += " Or the disk is slow: weights are read from it at each step.";
  message.what += " If the machine has changed since fude measured it, delete " + shown(options.calibration) + '.';
  message.where.file = options.calibration;
  message.remedies = {{Remedy::close_other_programs},
                      {.kind = Remedy::allow_memory, .field = on_card(plan) ? Field::vram : Field::ram}};
  return message;
}

}  // namespace fude
