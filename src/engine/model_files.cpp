#include "engine/model_files.h"

#include <system_error>

#include "engine/file.h"
#include "weights/text.h"

namespace fude {

CheckpointFiles checkpoint_files(const ModelFiles& files) {
  CheckpointFiles paths;
  paths.model = path_of(files.model);
  paths.clip_l = path_of(files.clip_l);
  paths.clip_g = path_of(files.clip_g);
  paths.t5 = path_of(files.t5);
  paths.vae = path_of(files.vae);
  paths.tokenizers = path_of(files.tokenizers);
  paths.no_t5 = files.no_t5;
  paths.hub_cache = path_of(files.hub_cache);
  return paths;
}

std::string name_of_model(const std::filesystem::path& given) {
  const std::filesystem::path path = given.has_filename() ? given : given.parent_path();
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) return text_of(path.stem());
  if (path.parent_path().filename() == "snapshots") {
    const std::string repository = text_of(path.parent_path().parent_path().filename());
    const size_t mark = repository.rfind("--");
    if (mark != std::string::npos) return repository.substr(mark + 2);
  }
  return text_of(path.filename());
}

}  // namespace fude
