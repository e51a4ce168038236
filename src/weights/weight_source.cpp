// Finding tensors, and refusing those that do not fit the rest.
#include "weights/weight_source.h"

#include <string>

#include "core/fnv.h"
#include "fude/error.h"
#include "weights/quote.h"

namespace fude {

Source WeightSource::find(std::string_view name, const std::vector<int64_t>& shape) const {
  Source source = checkpoint_->find(component_, name);
  if (source.shape == shape) {
    for (const auto& patch : patches_)
      if (patch->tensor == name) source.patches.push_back(patch);
    return source;
  }
  const std::filesystem::path file = checkpoint_->files(component_).front();
  throw Error(Code::bad_checkpoint, {.what = "the tensor " + shown(name) + " of the " + std::string(type_of(component_).title) +
                                             " in " + shown(file) + " is " + text_of_shape(source.shape) + ", should be " +
                                             text_of_shape(shape) + ". The file is damaged or of another model",
                                     .where = {text_of(file), std::string(name_of(component_))},
                                     .remedies = {{Remedy::download_model, Field::model}}});
}

template <class Which>
uint64_t WeightSource::epoch_of(const Which& which) const {
  Fnv hash;
  bool any = false;
  for (const auto& patch : patches_) {
    if (!which(*patch)) continue;
    hash.add(patch->tensor.data(), patch->tensor.size());
    hash.add(&patch->epoch, sizeof patch->epoch);
    any = true;
  }
  return any ? hash.value() : 0;
}

uint64_t WeightSource::epoch(std::string_view name) const {
  return epoch_of([&](const Patch& patch) { return patch.tensor == name; });
}

uint64_t WeightSource::epoch() const {
  return epoch_of([](const Patch&) { return true; });
}

}  // namespace fude
