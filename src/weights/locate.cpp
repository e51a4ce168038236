#include "weights/locate.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <sstream>

#include "fude/error.h"
#include "weights/config.h"
#include "weights/json_file.h"
#include "weights/paths.h"
#include "weights/text.h"

namespace fude {

namespace fs = std::filesystem;

namespace {

// A name that stays in its folder on every system.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find_first_of("/\\:") == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

fs::path path_of(const std::string& utf8) { return fs::path(std::u8string(utf8.begin(), utf8.end())); }

WeightFiles read_index(const fs::path& index) {
  const nlohmann::json json = read_json_object(index);
  const auto fail = [&](const std::string& what) {
    throw Error(Code::bad_checkpoint, "the index " + shown(index) + " " + what + ". Download the model again.");
  };
  const auto map = json.find("weight_map");
  if (map == json.end() || !map->is_object() || map->empty()) fail("has no weight_map");
  WeightFiles weights;
  std::map<std::string, size_t> number;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string()) fail("gives no file name for the tensor " + shown(tensor));
    const auto name = file.get<std::string>();
    if (!is_plain_name(name) || !name.ends_with(".safetensors"))
      fail("names " + shown(name) + ", which is not a safetensors file beside it");
    const auto [at, is_new] = number.emplace(name, weights.files.size());
    if (is_new) {
      weights.files.push_back(index.parent_path() / path_of(name));
      if (!is_there(weights.files.back())) fail("names the file " + shown(name) + ", which is missing");
    }
    weights.file_of[tensor] = at->second;
  }
  return weights;
}

bool has_pickles(const fs::path& folder) {
  for (const fs::path& entry : entries_of(folder))
    if (entry.extension() == ".bin" || entry.extension() == ".pt") return true;
  return false;
}

}  // namespace

WeightFiles find_weights(const fs::path& folder) {
  // A folder may hold several variants; without a variant in its name comes first, as in diffusers.
  for (const std::string variant : {"", ".fp16", ".bf16"}) {
    for (const std::string name : {"diffusion_pytorch_model", "model"}) {
      if (const fs::path file = folder / (name + variant + ".safetensors"); is_there(file)) return {{file}, {}};
      if (const fs::path index = folder / (name + ".safetensors.index" + variant + ".json"); is_there(index))
        return read_index(index);
    }
  }
  throw Error(Code::bad_checkpoint,
              has_pickles(folder)
                  ? shown(folder) + " holds its weights in PyTorch's format only. Download the .safetensors files of the model."
                  : "there are no weights in " + shown(folder) + ". Download the model again.");
}

bool is_hub_id(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return false;
  const auto is_word = [](std::string_view word) {
    return !word.empty() && word.front() != '.' && word.size() <= 96 && std::all_of(word.begin(), word.end(), [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
    });
  };
  return is_word(text.substr(0, slash)) && is_word(text.substr(slash + 1));
}

fs::path find_in_hub_cache(const fs::path& cache, std::string_view id) {
  std::string name = "models--" + std::string(id);
  name.replace(name.find('/'), 1, "--");
  const fs::path model = cache / name;
  const auto fail = [&](const std::string& what) {
    throw Error(Code::bad_checkpoint, "the model " + shown(id) + " " + what +
                                          ". Give --model a path, or get the model with `huggingface-cli download " +
                                          std::string(id) + "` after accepting its licence on huggingface.co/" +
                                          std::string(id) + ".");
  };
  if (!is_there(model)) fail("is neither a file or folder nor in the Hugging Face cache " + shown(cache));

  std::string commit;
  if (is_file(model / "refs" / "main")) {
    std::istringstream(read_small_file(model / "refs" / "main")) >> commit;
    if (!is_plain_name(commit)) fail("has a damaged reference " + shown(model / "refs" / "main"));
  } else {  // downloaded by its commit: there is no branch, but then there is one snapshot
    for (const fs::path& entry : entries_of(model / "snapshots")) {
      if (!commit.empty()) fail("is in the cache in several versions, none of them called main");
      commit = text_of(entry.filename());
    }
  }
  const fs::path snapshot = model / "snapshots" / path_of(commit);
  if (commit.empty() || !is_there(snapshot)) fail("was not downloaded whole: " + shown(snapshot) + " is missing");
  return snapshot;
}

}  // namespace fude
