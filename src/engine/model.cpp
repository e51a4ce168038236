// Opening a model, and completing requests for it.
#include "engine/model.h"

#include <utility>

#include "engine/given_embeddings.h"
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
  std::vector<std::string> prompts;
  if (full.guidance > 1) prompts.push_back(full.negative);
  prompts.push_back(full.prompt);
  if (warning)
    if (const Message foreign = foreign_syntax_in(prompts); !foreign.what.empty()) warning(foreign);
  return tokenize(tokenizers_, prompts, warning);
}

}  // namespace fude
