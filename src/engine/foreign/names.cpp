// The tables of foreign names.
#include "engine/foreign/names.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "core/characters.h"
#include "diffusion/samplers.h"
#include "diffusion/schedule.h"

namespace fude {
namespace {

// Schedules that fude lacks, folded. The first few space steps evenly before the shift, as the checkpoint's own does.
constexpr std::array<std::string_view, 15> kOtherSchedules = {
    "ddimuniform", "uniform", "trailing",   "native", "polyexponential", "karrasexponential", "kloptimal",  "alignyoursteps",
    "ays",         "gits",    "smoothstep", "turbo",  "bongtangent",     "laplace",           "logitnormal"};
constexpr size_t kEvenSchedules = 4;

// All that may stand behind a sampler's name, folded; longer ones before those they end with.
const std::vector<std::string>& schedule_endings() {
  static const std::vector<std::string> endings = [] {
    std::vector<std::string> all(kOtherSchedules.begin(), kOtherSchedules.end());
    for (const Names& row : names_of_schedules()) {
      all.push_back(folded(row.name));
      all.push_back(folded(row.a1111));
      for (const std::string& other : row.others) all.push_back(folded(other));
    }
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
    return all;
  }();
  return endings;
}

// A folded name that holds the first is of the kind that the second names; the first that fits counts.
constexpr std::array<std::pair<const char*, const char*>, 25> kDropped = {{
    {"lora", "LoRA"},
    {"lycoris", "LoRA"},
    {"hypernet", "hypernetwork"},
    {"controlnet", "ControlNet"},
    {"ipadapter", "IP-Adapter"},
    {"t2iadapter", "T2I-Adapter"},
    {"adetailer", "ADetailer"},
    {"detailer", "detailer"},
    {"hires", "hires fix"},
    {"hrf", "hires fix"},
    {"firstpass", "hires fix"},
    {"refine", "refiner"},
    {"upscale", "upscaling"},
    {"clipskip", "clip skip"},
    {"clipsetlastlayer", "clip skip"},
    {"clipstopatlayer", "clip skip"},
    {"vaename", "VAE"},
    {"vaehash", "VAE"},
    {"vaeloader", "VAE"},
    {"initimage", "the picture it began from"},
    {"cfgrescale", "CFG rescale"},
    {"skiplayer", "skip layer guidance"},
    {"attentionguidance", "perturbed attention guidance"},
    {"stylemodel", "style model"},
    {"seamless", "seamless tiling"},
}};

}  // namespace

std::string_view stripped(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\n\v\f\r";
  const size_t begin = text.find_first_not_of(kSpaces);
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

std::string brief(std::string_view text) {
  constexpr size_t kLongest = 60;
  const size_t end = character_begin(text, std::min(kLongest, text.size()));
  std::string line;
  for (const char c : text.substr(0, end)) line += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  return end < text.size() ? line + "…" : line;
}

SamplerNames split_sampler(std::string_view name) {
  name = stripped(name);
  constexpr size_t kLongest = 64;
  if (find_sampler(name) || name.size() > kLongest) return {std::string(name), {}};
  if (name.ends_with("_k")) return {std::string(name.substr(0, name.size() - 2)), "karras"};  // InvokeAI's
  for (const std::string& schedule : schedule_endings()) {
    if (!folded(name).ends_with(schedule)) continue;
    size_t begin = name.size();  // of the schedule's name as it is written
    while (begin > 0 && folded(name.substr(begin)) != schedule) --begin;
    const std::string_view sampler = name.substr(0, begin);
    const size_t end = sampler.find_last_not_of(" _-");
    if (end != std::string_view::npos && end + 1 < sampler.size())
      return {std::string(sampler.substr(0, end + 1)), std::string(name.substr(begin))};
  }
  return {std::string(name), {}};
}

bool is_even_schedule(std::string_view name) {
  const auto end = kOtherSchedules.begin() + kEvenSchedules;
  return std::find(kOtherSchedules.begin(), end, folded(name)) != end;
}

std::string name_of_dropped(std::string_view name) {
  const std::string text = folded(name);
  if (text == "vae") return "VAE";
  for (const auto& [part, meaning] : kDropped)
    if (text.find(part) != std::string::npos) return meaning;
  return {};
}

}  // namespace fude
