#include "engine/advice.h"

#include <algorithm>
#include <cstdio>

namespace fude {

namespace {

bool on_card(const Plan& plan) { return plan.budget.device > 0; }

const ComponentPlan* find(const Plan& plan, std::string_view name) {
  const auto found = std::find_if(plan.components.begin(), plan.components.end(), [&](const ComponentPlan& each) { return each.name == name; });
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
  return bytes < kGiB ? printed("%.0f MiB", static_cast<double>(bytes) / kMiB) : printed("%.1f GiB", static_cast<double>(bytes) / kGiB);
}

// A round size as --vram takes it, no less.
std::string budget_of(int64_t bytes) {
  const auto rounded = [&](int64_t unit) { return (bytes + unit - 1) / unit * unit; };
  return bytes < kGiB - 16 * kMiB ? std::to_string(rounded(16 * kMiB) / kMiB) + 'M' : printed("%gG", static_cast<double>(rounded(kGiB / 4)) / kGiB);
}

// How the transformer would stay.
std::string remedy(bool card, bool has_budget, int64_t all_blocks, int64_t total) {
  if (all_blocks > total) return card ? "; the card is too small for all" : "; the computer has too little memory for all";
  if (has_budget) return (card ? ": --vram " : ": --ram ") + budget_of(all_blocks) + " would keep all";
  return std::string(". Close other programs that use ") + (card ? "the card" : "memory") + ": all would take " +
         text_of(all_blocks);
}

}  // namespace

std::vector<std::string> advice_on(const Plan& plan, const EngineOptions& options, int64_t all_blocks, int64_t total) {
  const bool card = on_card(plan);
  std::vector<std::string> advice;
  if (const ComponentPlan* transformer = find(plan, "transformer"); transformer && plan.streamed_per_step > 0)
    advice.push_back(std::to_string(transformer->resident_parts) + " of the transformer's " + std::to_string(transformer->parts) + " parts stay " +
                     (card ? "on the card, the others travel there at each step (" : "in memory, the others are read at each step (") +
                     text_of(plan.streamed_per_step) + ')' + remedy(card, (card ? options.vram : options.ram) > 0, all_blocks, total) + '.');
  if (const ComponentPlan* vae = find(plan, "vae"); vae && vae->resident_parts == 0 && plan.request.count > 1)
    advice.push_back("The decoder's weights are read again for each picture.");
  if (plan.decode_through_host)
    advice.push_back("Pictures are decoded in " + std::to_string(plan.decode_bands) + " bands, through the computer's memory.");
  return advice;
}

}  // namespace fude
