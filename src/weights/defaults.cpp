// The table of released models, and fude.json on top of it.
#include "weights/defaults.h"

#include <algorithm>

#include "core/characters.h"

namespace fude {

namespace {

// As Stability AI recommends them. Large and large-turbo have the same tensors.
struct Released {
  std::string_view kind;
  int64_t layers, width;
  bool has_dual;
  int64_t least_side, most_side;
};
constexpr Released kReleased[] = {{"medium", 24, 1536, true, 512, 1440}, {"large", 38, 2432, false, 512, 1024}};

constexpr int64_t kTurboSteps = 4;
constexpr double kTurboGuidance = 1;

bool names_turbo(const std::string& name) { return lower_case(name).find("turbo") != std::string::npos; }

}  // namespace

bool ModelDefaults::was_trained_for(int64_t width, int64_t height) const {
  const auto area = [](int64_t side) { return static_cast<double>(side) * static_cast<double>(side); };
  const double pixels = static_cast<double>(width) * static_cast<double>(height);
  return (least_side == 0 || pixels >= 0.9 * area(least_side)) && (most_side == 0 || pixels <= 1.1 * area(most_side));
}

ModelDefaults model_defaults(const MmditGeometry& geometry, const std::vector<std::string>& names, const Config& own) {
  constexpr int64_t kMostSteps = 1000, kLargestSide = 1 << 16;
  constexpr double kMostGuidance = 1000;
  ModelDefaults defaults;
  const bool has_dual = std::find(geometry.dual.begin(), geometry.dual.end(), true) != geometry.dual.end();
  for (const Released& released : kReleased)
    if (released.layers == geometry.layers && released.width == geometry.width && released.has_dual == has_dual) {
      defaults.kind = released.kind;
      defaults.least_side = released.least_side;
      defaults.most_side = released.most_side;
    }
  if (std::any_of(names.begin(), names.end(), names_turbo)) {
    defaults.kind += defaults.kind.empty() ? "turbo" : " turbo";
    defaults.steps = kTurboSteps;
    defaults.guidance = kTurboGuidance;
  }
  defaults.kind = own.text("kind", defaults.kind);
  defaults.steps = own.integer("steps", defaults.steps, 1, kMostSteps);
  defaults.guidance = own.number("guidance", defaults.guidance, -kMostGuidance, kMostGuidance);
  defaults.least_side = own.integer("least_side", defaults.least_side, 0, kLargestSide);
  defaults.most_side = own.integer("most_side", defaults.most_side, 0, kLargestSide);
  for (const std::vector<double>& row : own.rows("latent_rgb", 3))
    defaults.latent_rgb.push_back({static_cast<float>(row[0]), static_cast<float>(row[1]), static_cast<float>(row[2])});
  const size_t rows = static_cast<size_t>(geometry.channels) + 1;
  if (!defaults.latent_rgb.empty() && defaults.latent_rgb.size() != rows)
    own.fail("latent_rgb",
             "has not " + std::to_string(rows) + " rows, one for each channel of the latents and one that is added");
  return defaults;
}

}  // namespace fude
