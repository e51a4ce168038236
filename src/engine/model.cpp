// Opening a model, and completing requests for it.
#include "engine/model.h"

#include <algorithm>
#include <utility>

#include "engine/given_embeddings.h"
#include "engine/latents.h"
#include "engine/model_files.h"
#include "engine/preview.h"
#include "engine/prompt_syntax.h"
#include "engine/request.h"
#include "fude/error.h"
#include "weights/quote.h"

namespace fude {

namespace {

Checkpoint opened(const ModelFiles& files) {
  Checkpoint checkpoint = Checkpoint::open(checkpoint_files(files));
  check_complete(checkpoint);
  return checkpoint;
}

}  // namespace

ResolvedRequest ResolvedRequest::at_size(const Size& size) const {
  ResolvedRequest other = *this;
  other.request_.width = size.width;
  other.request_.height = size.height;
  other.request_.draft.reset();
  return other;
}

Model::Model(const ModelFiles& files)
    : checkpoint_(opened(files)),
      tokenizers_(checkpoint_),
      name_(checkpoint_.name()),
      hash_(hexadecimal(checkpoint_.identity())),
      latent_rgb_(latent_rgb_of(checkpoint_)) {}

int64_t Model::largest_side() const {
  return checkpoint_.mmdit().pos_embed_max * checkpoint_.mmdit().patch * vae_scale_factor();
}

Request Model::filled(const Request& request) const {
  const MmditGeometry& g = checkpoint_.mmdit();
  check_settings(request);
  Request full = request;
  if (full.width == 0) full.width = g.sample_size * vae_scale_factor();
  if (full.height == 0) full.height = g.sample_size * vae_scale_factor();
  if (!full.shift) full.shift = checkpoint_.schedule().shift;
  const ModelDefaults own = checkpoint_.defaults();
  if (!full.sigmas.empty()) {
    const int64_t steps = std::ssize(full.sigmas);
    if (full.steps.value_or(steps) != steps)
      throw Error(Code::bad_request, {.what = words_of(Field::sigmas) + " are " + std::to_string(steps) + ", and the steps " +
                                              std::to_string(*full.steps),
                                      .field = Field::sigmas,
                                      .remedies = {{Remedy::use_value, Field::steps, {std::to_string(steps)}}}});
    if (full.draft)  // which has steps of its own
      throw Error(Code::bad_request, {.what = words_of(Field::sigmas) + " do not go with a draft",
                                      .field = Field::sigmas,
                                      .remedies = {{Remedy::leave_out, Field::sigmas}}});
    full.steps = steps;
  }
  if (!full.steps) full.steps = own.steps;
  if (!full.guidance) full.guidance = own.guidance;
  if (full.draft && !full.draft->steps) full.draft->steps = own.steps;
  full.sampler = sampler_from(full.sampler).value_or(full.sampler);
  full.schedule = schedule_from(full.schedule).value_or(full.schedule);
  return full;
}

Size Model::nearest_size(const Request& full) const {
  return {nearest_side(full.width, largest_side()), nearest_side(full.height, largest_side())};
}

void Model::check_size(const Request& full, const Size& nearest) const {
  refuse_size(full, largest_side(), nearest);
  check_sizes(full, largest_side());  // of a draft
}

void Model::check_layers(const Request& full) const {
  for (const Component clip : {Component::clip_l, Component::clip_g})
    if (const int64_t layers = checkpoint_.clip(clip).layers; full.clip_skip >= layers)
      throw Error(Code::bad_request, {.what = words_of(Field::clip_skip) + " is " + std::to_string(full.clip_skip) + ", and " +
                                              std::string(name_of(clip)) + " has " + std::to_string(layers) + " layers",
                                      .field = Field::clip_skip,
                                      .remedies = {{Remedy::use_value, Field::clip_skip, {std::to_string(layers - 1)}}}});
  if (!full.skip_layers) return;
  const int64_t layers = checkpoint_.mmdit().layers;
  for (const int64_t layer : full.skip_layers->layers)
    if (layer >= layers)
      throw Error(Code::bad_request, {.what = words_of(Field::skip_layers) + " names layer " + std::to_string(layer) +
                                              ", and the last of this model is " + std::to_string(layers - 1),
                                      .field = Field::skip_layers,
                                      .remedies = {{Remedy::leave_out, Field::skip_layers}}});
}

Request Model::complete(const Request& request) const {
  Request full = filled(request);
  check_layers(full);
  check_size(full, nearest_size(full));
  check_embeddings(full, checkpoint_.mmdit());
  check_latents(full, checkpoint_.mmdit().channels);
  return full;
}

ResolvedRequest Model::resolve(const Request& request, const Warn& warning) const {
  Request full = complete(request);
  if (full.embeddings) {
    ResolvedRequest resolved(std::move(full), {});
    resolved.embeddings_hash_ = hash_of(*resolved.request_.embeddings);
    return resolved;
  }
  TokenIds ids = ids_of(full, warning);
  return {std::move(full), std::move(ids)};
}

TokenIds Model::ids_of(const Request& full, const Warn& warning) const {
  const auto or_first = [](const std::string& own, const std::string& first) { return own.empty() ? first : own; };
  std::vector<PromptTexts> prompts;
  if (full.guidance > 1)
    prompts.push_back({full.negative, or_first(full.negative_2, full.negative), or_first(full.negative_3, full.negative)});
  prompts.push_back({full.prompt, or_first(full.prompt_2, full.prompt), or_first(full.prompt_3, full.prompt)});
  if (warning) {
    std::vector<std::string> texts;
    for (const PromptTexts& each : prompts)
      for (const std::string& text : {each.clip_l, each.clip_g, each.t5})
        if (std::find(texts.begin(), texts.end(), text) == texts.end()) texts.push_back(text);
    if (const Message foreign = foreign_syntax_in(texts); !foreign.what.empty()) warning(foreign);
  }
  TokenIds ids = tokenize(tokenizers_, prompts, full.t5_tokens, warning);
  ids.clip_skip.back() = full.clip_skip;
  return ids;
}

}  // namespace fude
