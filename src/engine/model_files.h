// Where a model's files are, as the public API names them.
#pragma once

#include <string>
#include <utility>

#include "fude/fude.h"
#include "weights/checkpoint.h"

namespace fude {

// Its paths, under the names that JSON has for them.
inline constexpr std::pair<const char*, std::string ModelFiles::*> kModelPaths[] = {
    {"model", &ModelFiles::model}, {"clip_l", &ModelFiles::clip_l}, {"clip_g", &ModelFiles::clip_g},
    {"t5", &ModelFiles::t5},       {"vae", &ModelFiles::vae},       {"tokenizers", &ModelFiles::tokenizers},
};

// UTF-8 strings of the public API as paths.
CheckpointFiles checkpoint_files(const ModelFiles& files);

// As another process finds them from any folder. What is no path here, such as an id of Hugging Face, stays as it is.
ModelFiles from_anywhere(ModelFiles files);

}  // namespace fude
