// Opening a checkpoint: which files hold which component, and whether the parts fit each other.
#include "weights/checkpoint.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/fnv.h"
#include "fude/error.h"
#include "weights/locate.h"
#include "weights/presence.h"
#include "weights/quote.h"

namespace fude {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void refuse(Message message) { throw Error(Code::bad_checkpoint, std::move(message)); }

Where where_of(Component component, const fs::path& path) { return {text_of(path), std::string(name_of(component))}; }

// Whether model_index.json names the component; [null, null] and absence both say that the model goes without it.
bool is_listed(const Config& index, std::string_view folder) {
  if (!index.has(folder)) return false;
  const nlohmann::json& entry = index.at(folder);
  return entry.is_array() && entry.size() == 2 && entry[1].is_string();
}

std::vector<const StoredTensor*> all_tensors(const TensorFile& file) {
  std::vector<const StoredTensor*> tensors;
  for (const StoredTensor& tensor : file.tensors()) tensors.push_back(&tensor);
  return tensors;
}

[[noreturn]] void refuse_unrecognised(Component component, const fs::path& where) {
  std::string signatures;
  for (const Layout& layout : type_of(component).layouts)
    if (signatures.find(layout.signature) == std::string::npos)
      signatures += (signatures.empty() ? "" : ", ") + shown(layout.signature);
  const Field field = type_of(component).field;
  refuse({.what = shown(where) + " holds no " + std::string(type_of(component).title) +
                  " of Stable Diffusion 3.5: none of the tensors " + signatures + " is in it",
          .field = field,
          .where = where_of(component, where),
          .remedies = {{Remedy::give_another, field}}});
}

constexpr std::string_view kSeparate = " with separate components";
constexpr std::string_view kOwnFile = "fude.json";

}  // namespace

Checkpoint Checkpoint::open(const CheckpointFiles& files) {
  Checkpoint checkpoint;
  checkpoint.path_ = locate_model(files.model, files.hub_cache);
  checkpoint.no_t5_ = files.no_t5;
  Faults faults;
  checkpoint.open_model(files, faults);
  if (!faults.all().empty()) {
    for (Message& lack : checkpoint.lacks()) faults.add(std::move(lack));
    faults.raise();
  }
  checkpoint.read_geometry(faults);
  faults.raise();
  checkpoint.check_components_fit();
  return checkpoint;
}

void Checkpoint::open_model(const CheckpointFiles& files, Faults& faults) {
  auto separate = files.separate;
  if (files.no_t5) separate[index_of(Component::t5)].clear();
  LeftOut left_out;
  std::transform(separate.begin(), separate.end(), left_out.begin(), [](const fs::path& path) { return !path.empty(); });
  const bool any_separate = std::any_of(left_out.begin(), left_out.end(), [](bool is_separate) { return is_separate; });
  if (files.no_t5) left_out[index_of(Component::t5)] = true;

  if (is_present_folder(path_)) open_folder(fs::path(path_), left_out, faults);  // may change path_
  else faulty_[index_of(Component::transformer)] = !faults.attempt([&] { open_single_file(path_, left_out); });
  for (const Component component : kComponents)
    if (const fs::path& path = separate[index_of(component)]; !path.empty())
      faulty_[index_of(component)] = !faults.attempt([&] { open_separate(component, path); });
  if (any_separate && !layout_.ends_with(kSeparate)) layout_ += kSeparate;
  if (!files.tokenizers.empty() && !find_tokenizers(files.tokenizers))
    faults.add({.what = "there are no tokenizers in " + shown(files.tokenizers),
                .field = Field::tokenizers,
                .where = {.file = text_of(files.tokenizers)},
                .remedies = {{Remedy::give, Field::tokenizers}}});
}

const TensorFile& Checkpoint::file(const fs::path& path) {
  for (const auto& known : files_)
    if (known->path() == path) return *known;
  files_.push_back(std::make_unique<TensorFile>(TensorFile::open(path)));
  return *files_.back();
}

void Checkpoint::open_folder(const fs::path& folder, const LeftOut& left_out, Faults& faults) {
  folder_ = folder;
  own_ = Config::read_if_there(folder / kOwnFile);
  const fs::path index_path = folder / "model_index.json";
  const bool has_index = is_present(index_path);
  std::optional<SingleFile> single;
  if (!has_index || !is_present_folder(folder / type_of(Component::transformer).folder)) single = find_single_file(folder);
  if (single) {
    path_ = single->model;
    faulty_[index_of(Component::transformer)] = !faults.attempt([&] { open_single_file(path_, left_out); });
    for (const auto& encoder : single->encoders) {
      const Component component = encoder.first;
      if (left_out[index_of(component)] || has(component)) continue;
      faulty_[index_of(component)] = !faults.attempt([&] { open_separate(component, encoder.second); });
      layout_ = "single file" + std::string(kSeparate);
    }
  } else {
    if (!has_index)
      refuse({.what = shown(folder) +
                      " is no diffusers model: it has no model_index.json. Give the folder that holds one, or a .safetensors "
                      "file.",
              .field = Field::model,
              .where = {.file = text_of(folder)}});
    open_diffusers_folder(folder, left_out, faults);
  }
  faults.attempt([&] { schedule_ = schedule_config(Config::read_if_there(folder / "scheduler" / "scheduler_config.json")); });
  find_tokenizers(folder);
}

void Checkpoint::open_diffusers_folder(const fs::path& folder, const LeftOut& left_out, Faults& faults) {
  layout_ = "diffusers folder";
  index_ = Config::read(folder / "model_index.json");
  const std::string pipeline = index_.text("_class_name", "");
  if (!pipeline.starts_with("StableDiffusion3"))
    index_.fail("_class_name", "is " + shown(pipeline) + "; fude draws with StableDiffusion3Pipeline");
  std::vector<std::string> missing;
  for (const ComponentType& type : component_types()) {
    if (!is_listed(index_, type.folder) || left_out[index_of(type.component)]) continue;
    bool& faulty = faulty_[index_of(type.component)];
    if (const fs::path part = folder / type.folder; is_present_folder(part))
      faulty = !faults.attempt([&] { component_at(type.component) = entry_in_folder(type.component, part); });
    else faulty = true, missing.push_back(shown(type.folder));
  }
  if (missing.empty()) return;
  std::string list = missing[0];
  for (size_t i = 1; i < missing.size(); ++i) list += (i + 1 < missing.size() ? ", " : " and ") + missing[i];
  const bool only_t5 =
      missing.size() == 1 && faulty_[index_of(Component::t5)] && missing[0] == shown(type_of(Component::t5).folder);
  Message fault{.what = "the model " + shown(folder) + " lists " + list +
                        (missing.size() == 1 ? ", but that folder is missing" : ", but those folders are missing"),
                .field = Field::model,
                .where = {.file = text_of(folder)},
                .remedies = {{Remedy::download_model, Field::model}}};
  if (only_t5) fault.remedies.push_back({Remedy::use_value, Field::no_t5, {"true"}});
  faults.add(std::move(fault));
}

Checkpoint::Entry Checkpoint::entry_in_folder(Component component, const fs::path& folder) {
  const WeightFiles weights = find_weights(folder);
  std::vector<const StoredTensor*> tensors;
  for (const fs::path& path : weights.files)
    if (const TensorFile& shard = file(path); weights.file_of.empty())
      for (const StoredTensor* tensor : all_tensors(shard)) tensors.push_back(tensor);
  for (const auto& [name, number] : weights.file_of) {
    const TensorFile& shard = file(weights.files[number]);
    tensors.push_back(shard.find(name));
    if (!tensors.back())
      refuse({.what = "the index of " + shown(folder) + " says that " + shown(shard.path()) + " holds " + shown(name) +
                      ", but it does not",
              .where = where_of(component, shard.path()),
              .remedies = {{Remedy::download_model, Field::model}}});
  }
  auto found = ComponentTensors::recognise(component, Origin::folder, true, tensors);
  if (!found) refuse_unrecognised(component, folder);
  return {std::move(*found), Config::read_if_there(folder / "config.json")};
}

void Checkpoint::open_single_file(const fs::path& path, const LeftOut& left_out) {
  layout_ = "single file";
  const auto tensors = all_tensors(file(path));
  for (const ComponentType& type : component_types()) {
    if (left_out[index_of(type.component)]) continue;
    const bool bare = type.component == Component::transformer;
    if (auto found = ComponentTensors::recognise(type.component, Origin::file, bare, tensors))
      component_at(type.component) = Entry{std::move(*found), {}};
    else if (std::any_of(tensors.begin(), tensors.end(),
                         [&](const auto* tensor) { return has_prefix_of(type.component, tensor->name); }))
      refuse_unrecognised(type.component, path);
  }
  if (!has(Component::transformer)) refuse_unrecognised(Component::transformer, path);
}

void Checkpoint::open_separate(Component component, const fs::path& path) {
  if (is_present_folder(path)) {
    component_at(component) = entry_in_folder(component, path);
    return;
  }
  const TensorFile& opened = file(path);
  auto found = ComponentTensors::recognise(component, Origin::file, true, all_tensors(opened));
  if (!found) refuse_unrecognised(component, path);
  // The two CLIPs have the same names; ComfyUI tells them apart by depth.
  if (component == Component::clip_l && found->blocks() > 30)
    refuse({.what = shown(path) + " is a CLIP-G text encoder, not a CLIP-L text encoder",
            .field = Field::clip_l,
            .where = where_of(component, path),
            .remedies = {{Remedy::give, Field::clip_l}}});
  component_at(component) = Entry{std::move(*found), {}};
}

bool Checkpoint::find_tokenizers(const fs::path& folder) {
  bool any = false;
  for (const ComponentType& type : component_types()) {
    if (type.tokenizer.empty()) continue;
    for (const std::string_view name : {type.tokenizer, type.plain_tokenizer})
      if (const fs::path part = folder / name; is_present_folder(part)) {
        tokenizers_[index_of(type.component)] = part;
        any = true;
        break;
      }
  }
  return any;
}

void Checkpoint::read_geometry(Faults& faults) {
  for (const ComponentType& type : component_types())
    if (auto& entry = component_at(type.component))
      faults.attempt([&] { entry->geometry = type.geometry(entry->tensors, entry->config); });
  if (const auto& entry = component_at(Component::transformer); entry && entry->geometry.has_value())
    faults.attempt([&] { defaults(); });
}

// Parts of different models load without error, but draw noise, or crash.
void Checkpoint::check_components_fit() const {
  const auto check = [&](bool fits, const std::string& what, int64_t one, int64_t other) {
    if (!fits)
      refuse({.what = "the components of " + shown(path_) + " do not belong together: " + what + " (" + std::to_string(one) +
                      " and " + std::to_string(other) + "). Use files of one model.",
              .where = {.file = text_of(path_)}});
  };
  if (!has(Component::transformer)) return;
  if (has(Component::clip_l) && has(Component::clip_g)) {
    const ClipGeometry &l = clip(Component::clip_l), &g = clip(Component::clip_g);
    check(l.hidden + g.hidden <= mmdit().context_width, "the CLIP embeddings are wider than the transformer's context",
          l.hidden + g.hidden, mmdit().context_width);
    check(l.projection + g.projection == mmdit().pooled_width,
          "the pooled CLIP embeddings do not have the width the transformer reads", l.projection + g.projection,
          mmdit().pooled_width);
  }
  if (has(Component::t5))
    check(t5().d_model == mmdit().context_width, "T5's width is not that of the transformer's context", t5().d_model,
          mmdit().context_width);
  if (has(Component::vae))
    check(vae().latent_channels == mmdit().channels, "the VAE's latents do not have the transformer's channels",
          vae().latent_channels, mmdit().channels);
}

const ComponentTensors& Checkpoint::tensors(Component component) const {
  if (const auto& entry = component_at(component)) return entry->tensors;
  const ComponentType& type = type_of(component);
  refuse({.what = "the model " + shown(path_) + " has no " + std::string(type.title),
          .field = type.field,
          .where = where_of(component, path_),
          .remedies = {{Remedy::give, type.field}}});
}

std::vector<Message> Checkpoint::lacks() const {
  std::vector<Message> list;
  std::string without_tokenizer;
  for (const ComponentType& type : component_types()) {
    const bool is_faulty = faulty_[index_of(type.component)];
    const bool is_absent = !has(type.component) && !is_faulty;
    if (is_absent && !type.is_optional)
      list.push_back({.what = "It lacks a " + std::string(type.title),
                      .field = type.field,
                      .where = where_of(type.component, path_),
                      .remedies = {{Remedy::give, type.field}}});
    const bool wants_tokenizer = !type.tokenizer.empty() && !(type.is_optional && is_absent);
    if (wants_tokenizer && !has_tokenizer(type.component))
      without_tokenizer += (without_tokenizer.empty() ? "" : ", ") + std::string(type.tokenizer);
  }
  if (!without_tokenizer.empty())
    list.push_back({.what = "It lacks tokenizers (" + without_tokenizer + ')',
                    .field = Field::tokenizers,
                    .where = {.file = text_of(path_)},
                    .remedies = {{Remedy::give, Field::tokenizers}}});
  return list;
}

Source Checkpoint::find(Component component, std::string_view canonical) const {
  const ComponentTensors& from = tensors(component);
  if (auto source = from.find(canonical)) {
    if (const auto beside = from.not_understood(canonical); !beside.empty())
      refuse({.what = message_not_understood(*beside.front())});
    return std::move(*source);
  }
  std::string names;
  for (const std::string& name : from.names_for(canonical)) names += (names.empty() ? "" : ", ") + shown(name);
  const fs::path file = files(component).front();
  refuse({.what = "the tensor " + (names.empty() ? shown(canonical) : names) + " of the " +
                  std::string(type_of(component).title) + " is missing in " + shown(file) +
                  ". The file is damaged or of another model",
          .where = where_of(component, file),
          .remedies = {{Remedy::download_model, Field::model}}});
}

bool Checkpoint::contains(Component component, std::string_view canonical) const {
  return tensors(component).contains(canonical);
}

const std::any& Checkpoint::geometry(Component component) const {
  tensors(component);  // refuses what is absent
  return component_at(component)->geometry;
}

ModelDefaults Checkpoint::defaults() const {
  std::vector<std::string> names = {name(), index_.text("_name_or_path", "")};
  if (!folder_.empty()) names.push_back(name_of_model(folder_));
  return model_defaults(mmdit(), names, own_);
}

std::string Checkpoint::name() const { return name_of_model(path_); }

bool Checkpoint::has_tokenizer(Component component) const { return !tokenizers_[index_of(component)].empty(); }

const fs::path& Checkpoint::tokenizer(Component component) const {
  if (has_tokenizer(component)) return tokenizers_[index_of(component)];
  refuse({.what = "the model " + shown(path_) + " has no tokenizer for its " + std::string(type_of(component).title),
          .field = Field::tokenizers,
          .where = where_of(component, path_),
          .remedies = {{Remedy::give, Field::tokenizers}}});
}

std::vector<fs::path> Checkpoint::files(Component component) const {
  std::vector<fs::path> paths;
  for (const auto& file : files_) {
    const auto& stored = tensors(component).stored();
    const bool used =
        std::any_of(stored.begin(), stored.end(), [&](const auto& named) { return named.tensor->file == &file->file(); });
    if (used) paths.push_back(file->path());
  }
  return paths;
}

uint64_t Checkpoint::identity(Component component) const {
  constexpr size_t kSample = 64;
  Fnv hash;
  for (const auto& [name, tensor] : tensors(component).stored()) {
    hash.add(name.data(), name.size());
    hash.add(tensor->type.data(), tensor->type.size());
    hash.add(tensor->shape.data(), tensor->shape.size() * sizeof(int64_t));
    if (tensor->file) tensor->file->check_unchanged();
    const size_t size = std::min(kSample, tensor->bytes.size());
    const size_t begin = (tensor->bytes.size() - size) / 2;
    hash.add(tensor->bytes.data() + begin, size);
    if (tensor->file)
      tensor->file->drop(static_cast<size_t>(tensor->bytes.data() + begin - tensor->file->bytes().data()), size);
  }
  return hash.value();
}

uint64_t Checkpoint::identity() const {
  Fnv hash;
  for (const Component component : kComponents) {
    const uint64_t one = has(component) ? identity(component) : 0;
    hash.add(&one, sizeof(one));
  }
  return hash.value();
}

}  // namespace fude
