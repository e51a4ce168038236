// Keeping an engine from one chosen picture to the next.
#include "studio/refiner.h"

#include "engine/model_files.h"
#include "studio/callbacks.h"
#include "studio/completed.h"

namespace fude {

Engine& Refiner::engine_for(const Chosen& chosen, const ModelFiles& files) {
  EngineOptions options = setting_.engine;
  if (options.dtype == EngineOptions{}.dtype && !chosen.provenance.dtype.empty()) options.dtype = chosen.provenance.dtype;
  options.embeddings.insert(options.embeddings.end(), chosen.embeddings.begin(), chosen.embeddings.end());
  std::string key = options.dtype + (files.no_t5 ? "\nno T5" : "\n");
  for (const auto& [name, path] : kModelPaths) key += '\n' + files.*path;
  key += '\n' + (chosen.embeddings.empty() ? std::string() : chosen.embeddings.front());
  if (engine_ && key == made_of_) return *engine_;
  saver_.reset();
  engine_.reset();  // before the next takes memory
  engine_.emplace(files, options);
  saver_.emplace(files, options, books_, PictureSource{"refine", setting_.libraries, {}});
  made_of_ = key;
  return *engine_;
}

void Refiner::draw(const Chosen& chosen, const Refinement& refinement) {
  Engine& engine = *engine_;
  if (!chosen.latents.empty()) engine.remember(chosen.provenance.request, chosen.latents);
  Request request = refined(chosen, refinement);
  if (!request.steps) request.steps = steps_to_refine(engine);
  request = completed(engine, request);
  Callbacks callbacks = callbacks_for(reporter_, setting_.stop, &books_);
  callbacks.finished = [&](const Image& image) {
    const SavedPicture saved = saver_->save(saver_->encode(image), place_);
    reporter_.saved({.label = chosen.name, .seconds = image.seconds.total, .file = saved});
  };
  engine.generate(request, callbacks);
}

}  // namespace fude
