// Looking up models in folders and in the Hugging Face cache, and weight files by index, variant and shard.
#include "weights/locate.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <nlohmann/json.hpp>
#include <sstream>

#include "fude/error.h"
#include "weights/component_tensors.h"
#include "weights/config.h"
#include "weights/faults.h"
#include "weights/json_file.h"
#include "weights/presence.h"
#include "weights/quote.h"

namespace fude {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kEnding = ".safetensors";

[[noreturn]] void refuse(const std::string& what, std::vector<Remedy> remedies = {}) {
  throw Error(Code::bad_checkpoint, {.what = what, .field = Field::model, .remedies = std::move(remedies)});
}

// A name that stays in its folder on every system.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find_first_of("/\\:") == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

// "a", "b" and 3 more
std::string listed(const std::vector<std::string>& names) {
  constexpr size_t kMost = 3;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kMost); ++i) text += (text.empty() ? "" : ", ") + shown(names[i]);
  return names.size() <= kMost ? text : text + " and " + std::to_string(names.size() - kMost) + " more";
}

// ---- the model -------------------------------------------------------------------------------------------------------------

std::vector<std::string> parts_of(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find('/'), text.size());
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// Decodes %20 and so on; anything else stays as it is.
std::string without_escapes(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    const char* digits = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() && std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
      plain += static_cast<char>(byte);
      i += 2;
    } else {
      plain += text[i];
    }
  }
  return plain;
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

// The repository, and the file in it, that the address of a Hugging Face page names.
struct HubAddress {
  std::string id;
  fs::path inside;  // path in the repository; empty: all of it
};

std::optional<HubAddress> hub_address(std::string_view text) {
  while (text.ends_with('/') || text.ends_with('\\')) text.remove_suffix(1);
  if (is_hub_id(text)) return HubAddress{std::string(text), {}};
  for (const std::string_view scheme : {"https://", "http://"})
    if (take_prefix(text, scheme)) break;
  take_prefix(text, "www.");
  if (!take_prefix(text, "huggingface.co/") && !take_prefix(text, "hf.co/")) return {};
  const std::vector<std::string> parts = parts_of(text.substr(0, text.find_first_of("?#")));
  if (parts.size() < 2) return {};
  HubAddress address{parts[0] + '/' + parts[1], {}};
  if (!is_hub_id(address.id)) return {};
  for (size_t i = 4; i < parts.size(); ++i) {  // behind tree/BRANCH, blob/BRANCH or resolve/BRANCH
    const std::string name = without_escapes(parts[i]);
    if (!is_plain_name(name)) return {};
    address.inside /= path_of(name);
  }
  return address;
}

// `model` is a folder models--ORGANISATION--NAME of the cache.
fs::path snapshot_in(const fs::path& model, const std::string& id) {
  const auto fail = [&](const std::string& what) {
    refuse("the model " + shown(id) + " " + what, {{Remedy::give, Field::model}, {Remedy::download_model, Field::model, {id}}});
  };
  if (!is_present(model)) fail("is neither a file or folder nor in the Hugging Face cache " + shown(model.parent_path()));

  std::string commit;
  if (const fs::path reference = model / "refs" / "main"; is_present(reference)) {
    std::istringstream(read_small_file(reference)) >> commit;
    if (!is_plain_name(commit)) fail("has a damaged reference " + shown(reference));
  } else {  // downloaded by commit: no branch, but one snapshot
    const std::vector<std::string> commits = names_in(model / "snapshots");
    if (commits.size() > 1) fail("is in the cache in several versions, none of them called main");
    if (!commits.empty()) commit = commits.front();
  }
  const fs::path snapshot = model / "snapshots" / path_of(commit);
  if (commit.empty() || !is_present(snapshot)) fail("was not downloaded whole: " + shown(snapshot) + " is missing");
  return snapshot;
}

// Replaces a repository folder of the cache (models--A--B) by the snapshot in it.
fs::path into_snapshot(const fs::path& path) {
  const fs::path folder = path.has_filename() ? path : path.parent_path();
  std::string id = text_of(folder.filename());
  if (!id.starts_with("models--") || !is_present_folder(folder / "snapshots")) return path;
  id.erase(0, std::string_view("models--").size());
  if (const size_t mark = id.find("--"); mark != std::string::npos) id.replace(mark, 2, "/");
  return snapshot_in(folder, id);
}

// ---- the weights of a component --------------------------------------------------------------------------------------------

WeightFiles read_index(const fs::path& index) {
  const nlohmann::json json = read_json_object(index);
  const auto fail = [&](const std::string& what) {
    refuse("the index " + shown(index) + " " + what, {{Remedy::download_model, Field::model}});
  };
  const auto map = json.find("weight_map");
  if (map == json.end() || !map->is_object() || map->empty()) fail("has no weight_map");
  WeightFiles weights;
  std::map<std::string, size_t> number;
  std::vector<std::string> missing;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string()) fail("gives no file name for the tensor " + shown(tensor));
    const auto name = file.get<std::string>();
    if (!is_plain_name(name) || !name.ends_with(kEnding))
      fail("names " + shown(name) + ", which is not a safetensors file beside it");
    const auto [at, is_new] = number.emplace(name, weights.files.size());
    if (is_new) {
      weights.files.push_back(index.parent_path() / path_of(name));
      if (!is_present(weights.files.back())) missing.push_back(name);
    }
    weights.file_of[tensor] = at->second;
  }
  if (missing.size() == 1) fail("names the file " + shown(missing[0]) + ", which is missing");
  if (!missing.empty()) fail("names " + std::to_string(missing.size()) + " files that are missing: " + listed(missing));
  return weights;
}

// "fp16" of "model.fp16.safetensors", "" of "model.safetensors"; nothing for other names.
std::optional<std::string> between(std::string_view name, std::string_view stem, std::string_view ending) {
  if (!take_prefix(name, stem) || !name.ends_with(ending)) return {};
  name.remove_suffix(ending.size());
  if (!name.empty() && !take_prefix(name, ".")) return {};
  return std::string(name);
}

constexpr std::string_view kStems[] = {"diffusion_pytorch_model", "model"};

// NAME-00002-of-00003.safetensors, with the variant before or after the numbers.
struct Shard {
  std::string series;  // the name without its own number
  int64_t number = 0, of = 0;
};

std::optional<Shard> shard_of(std::string_view name) {
  constexpr size_t kDigits = 5;
  const size_t at = name.find("-of-");
  if (!name.ends_with(kEnding) || at == std::string_view::npos || at < kDigits + 1 || name.size() < at + 4 + kDigits) return {};
  Shard shard;
  const auto read = [&](size_t begin, int64_t& number) {
    const char* digits = name.data() + begin;
    return std::from_chars(digits, digits + kDigits, number).ptr == digits + kDigits && number > 0;
  };
  if (name[at - kDigits - 1] != '-' || !read(at - kDigits, shard.number) || !read(at + 4, shard.of)) return {};
  shard.series = std::string(name.substr(0, at - kDigits)) + std::string(name.substr(at));
  return shard;
}

// In order of preference: no variant first, as in diffusers.
std::vector<std::string> variants_in(const std::vector<std::string>& names) {
  std::vector<std::string> variants = {"", "fp16", "bf16"};
  for (const std::string& name : names)
    for (const std::string_view stem : kStems) {
      if (shard_of(name)) continue;
      for (const auto& variant :
           {between(name, stem, kEnding), between(name, std::string(stem) + ".safetensors.index", ".json")})
        if (variant && std::find(variants.begin(), variants.end(), *variant) == variants.end()) variants.push_back(*variant);
    }
  return variants;
}

// For folders without a usable index: the first complete series of shards, else the faults. A faulty index was about the shards
// without a variant, so those are skipped.
std::optional<WeightFiles> find_series(const fs::path& folder, const std::vector<std::string>& names, Faults& faults) {
  const bool has_index = !faults.all().empty();
  std::map<std::string, std::vector<std::string>> all;
  for (const std::string& name : names)
    if (const auto shard = shard_of(name)) all[shard->series].push_back(name);
  for (const auto& [series, members] : all) {
    WeightFiles weights;
    for (const std::string& name : members) weights.files.push_back(folder / path_of(name));
    if (has_index && series.find('.') == series.rfind('.')) continue;
    const int64_t of = shard_of(members.front())->of;
    if (static_cast<int64_t>(members.size()) == of && std::all_of(weights.files.begin(), weights.files.end(), is_present))
      return weights;
    faults.add({.what = "of the " + std::to_string(of) + " shards " + shown(series) + " in " + shown(folder) + " only " +
                        std::to_string(members.size()) + " are there",
                .where = {.file = text_of(folder)},
                .remedies = {{Remedy::download_model, Field::model}}});
  }
  return {};
}

}  // namespace

fs::path locate_model(const fs::path& given, const fs::path& hub_cache) {
  if (is_present(given)) return into_snapshot(given);
  const std::string text = text_of(given);
  if (std::string_view address = text; take_prefix(address, "file://")) {
    take_prefix(address, "localhost");
    const fs::path path = path_of(without_escapes(address));
    if (is_present(path)) return into_snapshot(path);
  }
  const std::optional<HubAddress> hub = hub_address(text);
  if (!hub && text.find("://") != std::string::npos && !text.starts_with("file://"))
    refuse(shown(text) + " is an address, and fude downloads nothing. Download the model", {{Remedy::give, Field::model}});
  if (!hub || hub_cache.empty()) refuse("there is no model " + shown(given), {{Remedy::give, Field::model}});
  std::string name = "models--" + hub->id;
  name.replace(name.find('/'), 1, "--");
  const fs::path snapshot = snapshot_in(hub_cache / name, hub->id);
  const fs::path path = hub->inside.empty() ? snapshot : snapshot / hub->inside;
  if (!is_present(path))
    refuse("the model " + shown(hub->id) + " is in the Hugging Face cache, but without " + shown(hub->inside) +
           ". Get it with `huggingface-cli download " + hub->id + ' ' + text_of(hub->inside) + "`.");
  return path;
}

std::string name_of_model(const fs::path& given) {
  const fs::path path = given.has_filename() ? given : given.parent_path();
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return text_of(path.stem());
  if (path.parent_path().filename() == "snapshots") {
    const std::string repository = text_of(path.parent_path().parent_path().filename());
    const size_t mark = repository.rfind("--");
    if (mark != std::string::npos) return repository.substr(mark + 2);
  }
  return text_of(path.filename());
}

WeightFiles find_weights(const fs::path& folder) {
  const std::vector<std::string> names = names_in(folder);
  Faults faults;
  for (const std::string& variant : variants_in(names)) {
    const std::string mark = variant.empty() ? "" : '.' + variant;
    for (const std::string_view stem : kStems) {
      if (const fs::path file = folder / path_of(std::string(stem) + mark + ".safetensors"); is_present(file))
        return {{file}, {}};
      WeightFiles weights;
      const fs::path index = folder / path_of(std::string(stem) + ".safetensors.index" + mark + ".json");
      if (is_present(index) && faults.attempt([&] { weights = read_index(index); })) return weights;
    }
  }
  if (auto weights = find_series(folder, names, faults)) return std::move(*weights);
  std::vector<fs::path> others;
  for (const std::string& name : names)
    if (name.ends_with(kEnding) && !shard_of(name) && is_present(folder / path_of(name)))
      others.push_back(folder / path_of(name));
  if (others.size() == 1) return {others, {}};
  faults.raise();
  const bool has_pickles = std::any_of(names.begin(), names.end(),
                                       [](const std::string& name) { return name.ends_with(".bin") || name.ends_with(".pt"); });
  refuse(has_pickles ? shown(folder) + " holds its weights in PyTorch's format only; .safetensors files are wanted"
                     : "there are no weights in " + shown(folder),
         {{Remedy::download_model, Field::model}});
}

std::optional<SingleFile> find_single_file(const fs::path& folder) {
  std::vector<fs::path> found, others;
  for (const fs::path root : {"", "models"})
    for (const char* kind : {"", "checkpoints", "diffusion_models", "unet"}) {
      const fs::path part = folder / root / kind;
      for (const std::string& name : names_in(part)) {
        const fs::path file = part / path_of(name);
        if (!name.ends_with(kEnding) || !is_present(file)) continue;
        Faults ignored;
        bool is_model = false;
        ignored.attempt([&] {
          const TensorFile opened = TensorFile::open(file);
          std::vector<const StoredTensor*> tensors;
          for (const StoredTensor& tensor : opened.tensors()) tensors.push_back(&tensor);
          is_model = ComponentTensors::recognise(Component::transformer, Origin::file, true, tensors).has_value();
        });
        (is_model ? found : others).push_back(file);
      }
    }
  const bool is_pipeline = is_present(folder / "model_index.json");
  if (found.empty() && !is_pipeline && others.size() == 1) found = others;  // opening it reports its fault
  if (found.empty()) return {};
  if (found.size() > 1) {
    std::vector<std::string> paths;
    for (const fs::path& path : found) paths.push_back(text_of(path));
    refuse(shown(folder) + " holds several models: " + listed(paths), {{Remedy::give, Field::model}});
  }
  SingleFile single{found.front(), {}};
  for (const fs::path root : {"", "models"})
    for (const char* kind : {"text_encoders", "clip"})
      for (const std::string& name : names_in(folder / root / kind))
        for (const ComponentType& type : component_types())
          if (!type.file.empty() && name.starts_with(type.file) && name.ends_with(kEnding))
            single.encoders.emplace(type.component, folder / root / kind / path_of(name));
  return single;
}

}  // namespace fude
