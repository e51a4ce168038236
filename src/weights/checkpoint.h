// A model on disk: which files hold which component, its sizes, and its tensors under canonical names.
#pragma once

#include <any>
#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weights/component_tensors.h"
#include "weights/components/clip.h"
#include "weights/components/mmdit.h"
#include "weights/components/t5.h"
#include "weights/components/vae.h"
#include "weights/defaults.h"
#include "weights/faults.h"
#include "weights/schedule_config.h"
#include "weights/source.h"

namespace fude {

// The files a person names. Empty paths: from the model.
struct CheckpointFiles {
  std::filesystem::path model;  // what locate_model takes: a folder, a single file, an id in the cache, an address
  std::array<std::filesystem::path, std::size(kComponents)> separate;  // files or folders of single components
  std::filesystem::path
      tokenizers;  // a diffusers folder, or a folder with tokenizer/, tokenizer_2/, tokenizer_3/ or clip/, t5/
  bool no_t5 = false;
  std::filesystem::path hub_cache;  // root of the Hugging Face cache; the caller reads the environment

  std::filesystem::path& of(Component component) { return separate[index_of(component)]; }
  const std::filesystem::path& of(Component component) const { return separate[index_of(component)]; }
};

class Checkpoint {
 public:
  // Maps the files, checks headers, and configurations against the tensors. Reads no weights. Throws Error{bad_checkpoint} with
  // all faults. Components may be absent: see `lacks`.
  static Checkpoint open(const CheckpointFiles& files);

  bool has(Component component) const { return component_at(component).has_value(); }
  // Throws Error{bad_checkpoint}, which says how to provide it, when the component is absent.
  const ComponentTensors& tensors(Component component) const;

  // Throws Error{bad_checkpoint} naming file and tensor when it is absent. Sources live as long as the checkpoint.
  Source find(Component component, std::string_view canonical) const;
  bool contains(Component component, std::string_view canonical) const;

  // The absent parts that a picture needs, and how to provide them; empty: it can be drawn with. T5 is optional.
  std::vector<Message> lacks() const;
  bool misses_t5() const { return !has(Component::t5) && !no_t5_; }  // absent, but not on request

  // Sizes, in the struct of the component's own file. Error{bad_checkpoint} when it is absent.
  const std::any& geometry(Component component) const;
  const ClipGeometry& clip(Component component) const { return std::any_cast<const ClipGeometry&>(geometry(component)); }
  const T5Geometry& t5() const { return std::any_cast<const T5Geometry&>(geometry(Component::t5)); }
  const MmditGeometry& mmdit() const { return std::any_cast<const MmditGeometry&>(geometry(Component::transformer)); }
  const VaeGeometry& vae() const { return std::any_cast<const VaeGeometry&>(geometry(Component::vae)); }
  const ScheduleConfig& schedule() const { return schedule_; }
  ModelDefaults defaults() const;  // for what a request leaves open

  // The folder with the tokenizer of clip_l, clip_g or t5. Throws Error{bad_checkpoint} when the model has none.
  const std::filesystem::path& tokenizer(Component component) const;
  bool has_tokenizer(Component component) const;

  const std::filesystem::path& path() const { return path_; }  // the folder or file, after looking in the cache
  std::string name() const;                                    // name_of_model(path())
  const std::string& layout() const { return layout_; }        // "diffusers folder", "single file", …
  const std::vector<std::unique_ptr<TensorFile>>& files() const { return files_; }
  std::vector<std::filesystem::path> files(Component component) const;

  // A cheap fingerprint, for caches and the PNG's `Model hash`: FNV-1a (64 bits) over the names, types and shapes of a
  // component's stored tensors and 64 bytes from the middle of each. Not the hash of the whole file that other programs write.
  uint64_t identity(Component component) const;
  uint64_t identity() const;  // of all components together

 private:
  struct Entry {
    ComponentTensors tensors;
    Config config;
    std::any geometry = {};
  };

  // Components not taken from the model: given separately, or not wanted.
  using LeftOut = std::array<bool, std::size(kComponents)>;

  void open_model(const CheckpointFiles& files, Faults& faults);
  void open_folder(const std::filesystem::path& folder, const LeftOut& left_out, Faults& faults);
  void open_diffusers_folder(const std::filesystem::path& folder, const LeftOut& left_out, Faults& faults);
  void open_single_file(const std::filesystem::path& file, const LeftOut& left_out);
  void open_separate(Component component, const std::filesystem::path& path);
  Entry entry_in_folder(Component component, const std::filesystem::path& folder);
  const TensorFile& file(const std::filesystem::path& path);
  bool find_tokenizers(const std::filesystem::path& folder);  // whether there are any
  void read_geometry(Faults& faults);
  void check_components_fit() const;
  std::optional<Entry>& component_at(Component component) { return components_[index_of(component)]; }
  const std::optional<Entry>& component_at(Component component) const { return components_[index_of(component)]; }

  std::filesystem::path path_, folder_;  // folder_: the given folder in which path_ was found
  std::string layout_;
  bool no_t5_ = false;
  LeftOut faulty_{};  // present, but with reported faults
  std::vector<std::unique_ptr<TensorFile>> files_;
  std::array<std::optional<Entry>, std::size(kComponents)> components_;
  std::array<std::filesystem::path, std::size(kComponents)> tokenizers_;
  ScheduleConfig schedule_;
  Config index_, own_;  // model_index.json and fude.json
};

}  // namespace fude
