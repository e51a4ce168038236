// What a person calls a model, and where its files are.
#pragma once

#include <filesystem>
#include <string>

#include "fude/fude.h"
#include "weights/checkpoint.h"

namespace fude {

// UTF-8 strings of the public API as paths.
CheckpointFiles checkpoint_files(const ModelFiles& files);

// "stable-diffusion-3.5-medium": a folder's name, a file's without its extension, a repository's for a snapshot of the Hugging Face
// cache (models--ORGANISATION--NAME/snapshots/COMMIT).
std::string name_of_model(const std::filesystem::path& path);

}  // namespace fude
