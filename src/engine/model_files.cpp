// From ModelFiles to a checkpoint's files, and paths that hold from anywhere.
#include "engine/model_files.h"

#include "engine/file.h"
#include "weights/paths.h"
#include "weights/quote.h"

namespace fude {

CheckpointFiles checkpoint_files(const ModelFiles& files) {
  CheckpointFiles paths;
  paths.model = path_of(files.model);
  for (const auto& [name, path] : kModelPaths)
    for (const ComponentType& type : component_types())
      if (type.name == name) paths.of(type.component) = path_of(files.*path);
  paths.tokenizers = path_of(files.tokenizers);
  paths.no_t5 = files.no_t5;
  paths.hub_cache = path_of(files.hub_cache);
  return paths;
}

ModelFiles from_anywhere(ModelFiles files) {
  for (const auto& [name, path] : kModelPaths) {
    std::string& file = files.*path;
    if (!file.empty() && is_there(path_of(file))) file = text_of(absolute_of(path_of(file)).lexically_normal());
  }
  return files;
}

}  // namespace fude
