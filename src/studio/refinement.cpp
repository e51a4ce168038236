// Building the request that draws a chosen picture again.
#include "studio/refinement.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include "engine/model_files.h"
#include "engine/request.h"
#include "weights/quote.h"

namespace fude {
namespace {

constexpr int64_t kUsualSteps = 50, kUsualTimesOwn = 2;  // the smaller of these: a turbo model gains nothing from 50

int64_t rounded_side(double pixels) { return std::max<int64_t>(16, static_cast<int64_t>(std::lround(pixels / 16)) * 16); }

Size size_of(const Request& before, const Refinement& refinement) {
  const auto side = [&](int64_t asked, int64_t old) {
    if (asked > 0) return asked;
    return refinement.scale > 0 ? rounded_side(static_cast<double>(old) * refinement.scale) : old;
  };
  return {side(refinement.asked.width, before.width), side(refinement.asked.height, before.height)};
}

bool is_resized(const Request& before, const Refinement& refinement) {
  return size_of(before, refinement) != Size{before.width, before.height};
}

}  // namespace

Chosen chosen_candidate(const SessionFolder& gacha, int64_t number) {
  Candidate candidate = candidate_of(gacha, number);
  return {"candidate " + std::to_string(number),
          std::move(candidate.provenance),
          std::move(candidate.latents),
          gacha.spec().files,
          {text_of(gacha.embeddings())}};
}

Chosen chosen_picture(std::string name, StoredPicture picture) {
  if (!picture.has_seed()) picture.provenance.request.seed = std::random_device{}();
  return {std::move(name), std::move(picture.provenance), {}, {}, {}};
}

Chosen chosen_entry(HistoryEntry entry) {
  return {"entry " + std::to_string(entry.id), std::move(entry.provenance), {}, std::move(entry.files), {}};
}

Obstacle obstacle_to(const Chosen& chosen, const Refinement& refinement) {
  const Request& before = chosen.provenance.request;
  if (before.width == 0 || before.height == 0) return Obstacle::no_size;
  if (is_resized(before, refinement) && before.draft) return Obstacle::enlarged_already;
  if (refinement.variations > 0 && before.variation) return Obstacle::varied_already;
  return Obstacle::none;
}

Request refined(const Chosen& chosen, const Refinement& refinement) {
  const Request& before = chosen.provenance.request;
  Request request = before;
  const Size size = size_of(before, refinement);
  request.width = size.width;
  request.height = size.height;
  const Request& asked = refinement.asked;
  request.steps = asked.steps;
  request.batch = 1;
  request.place = 0;
  request.vae_tiling = before.vae_tiling || asked.vae_tiling;  // also where it was not decoded so
  if (asked.guidance) request.guidance = asked.guidance;
  if (is_resized(before, refinement)) {
    request.draft = {.width = before.width,
                     .height = before.height,
                     .steps = before.steps,
                     .strength = asked.draft->strength,
                     .batch = std::max<int64_t>(1, before.batch),
                     .place = before.place};
  }
  if (refinement.variations > 0) {
    request.count = refinement.variations;
    request.variation = {.seed = refinement.variation_seed.value_or(before.seed + 1), .amount = asked.variation->amount};
  }
  check_settings(request);
  return request;
}

int64_t steps_to_refine(const Engine& engine) { return std::min(kUsualSteps, kUsualTimesOwn * *engine.complete({}).steps); }

ModelFiles files_for(const Chosen& chosen, const ModelFiles& given) {
  ModelFiles files = given.model.empty() && !chosen.files.model.empty() ? chosen.files : ModelFiles{};
  for (const auto& [name, path] : kModelPaths)
    if (!(given.*path).empty()) files.*path = given.*path;
  files.hub_cache = given.hub_cache;
  files.no_t5 = given.no_t5 || (chosen.provenance.no_t5 && given.t5.empty());
  return files;
}

}  // namespace fude
