// Where a model's files are, as the public API names them.
#pragma once

#include "fude/fude.h"
#include "weights/checkpoint.h"

namespace fude {

// UTF-8 strings of the public API as paths.
CheckpointFiles checkpoint_files(const ModelFiles& files);

}  // namespace fude
