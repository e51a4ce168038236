// Finds the files of a checkpoint on disk. Nothing is ever downloaded.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace fude {

// The weight files of one component folder.
struct WeightFiles {
  std::vector<std::filesystem::path> files;
  std::map<std::string, size_t> file_of;  // by tensor name, as the index says; empty when there is one file without an index
};

// The weights in a component folder of a diffusers model: NAME.safetensors or the shards of its index; when only a variant
// (fp16) was downloaded, that. Throws Error{bad_checkpoint}.
WeightFiles find_weights(const std::filesystem::path& folder);

// Whether the text has the form "organisation/name".
bool is_hub_id(std::string_view text);

// The folder of a model in the Hugging Face cache. Throws Error{bad_checkpoint}, which says how to get the model.
std::filesystem::path find_in_hub_cache(const std::filesystem::path& cache, std::string_view id);

}  // namespace fude
