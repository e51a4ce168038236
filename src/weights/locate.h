// Finds the files of a checkpoint on disk. Nothing is ever downloaded.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "weights/component.h"

namespace fude {

// The file or folder of the model that was asked for: a path, an id "organisation/name" in the Hugging Face cache, the address
// of the model's page there or of a file in it, or a file:// address. Throws Error{bad_checkpoint}, which says how to get the
// model.
std::filesystem::path locate_model(const std::filesystem::path& given, const std::filesystem::path& hub_cache);

// "stable-diffusion-3.5-medium": a folder's name, a file's without its extension, a repository's for a snapshot of the Hugging
// Face cache (models--ORGANISATION--NAME/snapshots/COMMIT).
std::string name_of_model(const std::filesystem::path& path);

// The weight files of one component folder.
struct WeightFiles {
  std::vector<std::filesystem::path> files;
  std::map<std::string, size_t>
      file_of;  // by tensor name, as the index says; empty without an index: then all tensors of all files
};

// The weights in a component folder of a diffusers model: NAME.safetensors, or the shards of its index, or all shards of a
// series; else those of a variant (fp16, then bf16, then others); else the only .safetensors file. The first that is complete.
// Throws Error{bad_checkpoint}.
WeightFiles find_weights(const std::filesystem::path& folder);

// A single-file model in a folder that is not a diffusers model: a partly downloaded repository, or the folders of ComfyUI.
// With the text encoders beside it, recognised by their usual names.
struct SingleFile {
  std::filesystem::path model;
  std::map<Component, std::filesystem::path> encoders;
};
// Nothing when there is none. Throws Error{bad_checkpoint} when there are several.
std::optional<SingleFile> find_single_file(const std::filesystem::path& folder);

}  // namespace fude
