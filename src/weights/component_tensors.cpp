// Finding the layout of stored tensors, and mapping canonical names to stored ones, quantised weights included.
#include "weights/component_tensors.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "fude/error.h"
#include "weights/quote.h"

namespace fude {

namespace {

constexpr std::string_view kFormatNote = ".comfy_quant";
// The scale of a quantised weight: ComfyUI's first naming and its successor.
constexpr std::string_view kScales[] = {".scale_weight", ".weight_scale"};
// Other tensors such files keep beside a weight; only their fp8 matmul needs them.
constexpr std::string_view kNotes[] = {".scale_input", ".input_scale", ".output_scale", kFormatNote};
constexpr std::string_view kWeight = ".weight", kBias = ".bias";

bool is_quantised(const StoredTensor& tensor) { return tensor.dtype == DType::f8_e4m3; }

// ComfyUI's note beside a weight names how it is quantised: here one scale for the tensor, and nothing else.
bool is_plain_format(const StoredTensor& note) {
  constexpr size_t kLongest = 4096;
  if (note.dtype != DType::u8 || note.bytes.size() > kLongest) return false;
  const auto* text = reinterpret_cast<const char*>(note.bytes.data());
  const nlohmann::json json = nlohmann::json::parse(text, text + note.bytes.size(), nullptr, false);
  if (!json.is_object()) return false;
  const auto format = json.find("format");
  if (format == json.end() || *format != "float8_e4m3fn") return false;
  return std::all_of(json.items().begin(), json.items().end(), [](const auto& entry) {
    return entry.key() == "format" || entry.key() == "full_precision_matrix_mult" || entry.value() == false ||
           entry.value().is_null();
  });
}

std::string name_and_file(const StoredTensor& tensor) {
  return shown(tensor.name) + (tensor.file ? " in " + shown(tensor.file->path()) : std::string());
}

bool has_fraction(const std::optional<DType>& dtype) {
  return dtype && *dtype != DType::u8 && *dtype != DType::i32 && *dtype != DType::i64;
}

std::vector<int64_t> squeezed(const std::vector<int64_t>& shape) {
  std::vector<int64_t> kept;
  std::copy_if(shape.begin(), shape.end(), std::back_inserter(kept), [](int64_t extent) { return extent != 1; });
  return kept;
}

}  // namespace

std::string message_not_understood(const StoredTensor& tensor) {
  return name_and_file(tensor) + " (" + std::string(tensor.type) + ' ' + text_of_shape(tensor.shape) +
         ") belongs to a quantised weight, and fude does not know what it means: the weight would be wrong. Use a file with "
         "F32, F16 or BF16 weights, or with F8_E4M3 and one scale per tensor (X.scale_weight or X.weight_scale).";
}

bool has_prefix_of(Component component, std::string_view name) {
  for (const Layout& layout : type_of(component).layouts)
    for (const std::string_view prefix : layout.prefixes)
      if (!prefix.empty() && name.starts_with(prefix)) return true;
  return false;
}

bool has_known_prefix(std::string_view name) {
  return std::any_of(std::begin(kComponents), std::end(kComponents),
                     [&](Component component) { return has_prefix_of(component, name); });
}

std::optional<std::string> weight_described_by(std::string_view stored_name) {
  const auto stem = [&](std::string_view suffix) {
    return std::string(stored_name.substr(0, stored_name.size() - suffix.size()));
  };
  for (const std::string_view suffix : kScales)
    if (stored_name.ends_with(suffix)) return stem(suffix) += kWeight;
  for (const std::string_view suffix : kNotes)
    if (stored_name.ends_with(suffix)) return stem(suffix) += kWeight;
  return {};
}

std::optional<ComponentTensors> ComponentTensors::recognise(Component component, Origin origin, bool bare,
                                                            const std::vector<const StoredTensor*>& tensors) {
  for (const Layout& layout : type_of(component).layouts) {
    if (std::find(layout.origins.begin(), layout.origins.end(), origin) == layout.origins.end()) continue;
    for (const std::string_view prefix : layout.prefixes) {
      if (prefix.empty() && !bare) continue;
      ComponentTensors found;
      found.component_ = component;
      found.layout_ = &layout;
      found.prefix_ = prefix;
      for (const StoredTensor* tensor : tensors)
        if (tensor->name.starts_with(prefix) && !(prefix.empty() && has_known_prefix(tensor->name)))
          found.stored_.push_back({std::string_view(tensor->name).substr(prefix.size()), tensor});
      std::sort(found.stored_.begin(), found.stored_.end(), [](const Named& a, const Named& b) { return a.name < b.name; });
      if (!found.stored(layout.signature)) continue;
      std::vector<std::string_view> names;
      for (const Named& named : found.stored_) names.push_back(named.name);
      found.blocks_ = count_blocks(layout.blocks, names);
      return found;
    }
  }
  return {};
}

const StoredTensor* ComponentTensors::stored(std::string_view stored_name) const {
  const auto at = std::lower_bound(stored_.begin(), stored_.end(), stored_name,
                                   [](const Named& a, std::string_view b) { return a.name < b; });
  return at != stored_.end() && at->name == stored_name ? at->tensor : nullptr;
}

std::optional<ComponentTensors::Stored> ComponentTensors::stored_for(std::string_view canonical) const {
  for (const Recipe& recipe : recipes(*layout_, canonical, blocks_)) {
    Stored found{recipe.op, {}, recipe.names};
    for (const std::string& name : recipe.names)
      if (const StoredTensor* tensor = stored(name)) found.tensors.push_back(tensor);
    if (found.tensors.size() == recipe.names.size()) return found;
  }
  return {};
}

std::vector<std::string> ComponentTensors::names_for(std::string_view canonical) const {
  std::vector<std::string> names;
  for (const Recipe& recipe : recipes(*layout_, canonical, blocks_)) {
    for (const std::string& name : recipe.names) names.push_back(std::string(prefix_) + name);
    break;
  }
  return names;
}

float ComponentTensors::scale_of(std::string_view stored_name) const {
  if (!stored_name.ends_with(kWeight)) return 1;
  stored_name.remove_suffix(kWeight.size());
  std::optional<float> found;
  for (const std::string_view suffix : kScales) {
    const StoredTensor* tensor = stored(std::string(stored_name) += suffix);
    if (!tensor) continue;
    float scale = 0;
    if (tensor->elements() == 1 && has_fraction(tensor->dtype)) to_f32(*tensor->dtype, tensor->bytes.data(), &scale, 1);
    if (scale != 0 && std::isfinite(scale)) {
      if (found.value_or(scale) != scale)
        throw Error(Code::bad_checkpoint, "beside the scale " + name_and_file(*tensor) +
                                              " there is another of the same weight, and they differ. "
                                              "Use a file with one scale per tensor.");
      found = scale;
      continue;
    }
    throw Error(Code::bad_checkpoint,
                "the scale " + name_and_file(*tensor) + " is not one finite number other than 0 (its shape is " +
                    text_of_shape(tensor->shape) + "). Use a file with one scale per tensor, or an unscaled one.");
  }
  return found.value_or(1);
}

std::vector<const StoredTensor*> ComponentTensors::not_understood(std::string_view canonical) const {
  std::vector<const StoredTensor*> list;
  const auto found = stored_for(canonical);
  if (!found) return list;
  for (size_t k = 0; k < found->tensors.size(); ++k) {
    if (!is_quantised(*found->tensors[k])) continue;
    std::string_view stem = found->names[k];
    if (stem.ends_with(kWeight)) stem.remove_suffix(kWeight.size());
    for (auto at = std::lower_bound(stored_.begin(), stored_.end(), stem,
                                    [](const Named&a, std::string_view b) { return a.name < b; });
         at != stored_.end() && at->name.starts_with(stem); ++at) {
      const std::string_view rest = at->name.substr(stem.size());
      const auto is_one_of = [&](const auto& suffixes) {
        return std::find(std::begin(suffixes), std::end(suffixes), rest) != std::end(suffixes);
      };
      const bool hangs_on_it = (rest.starts_with('.') || rest.starts_with('_')) && rest != kWeight && rest != kBias;
      const bool is_known = is_one_of(kScales) || (is_one_of(kNotes) && (rest != kFormatNote || is_plain_format(*at->tensor)));
      if (hangs_on_it && !is_known && !is_ignored(at->name)) list.push_back(at->tensor);
    }
  }
  return list;
}

std::optional<Source> ComponentTensors::find(std::string_view canonical) const {
  const auto found = stored_for(canonical);
  if (!found) return {};
  Source source{std::string(canonical), found->tensors[0]->shape, {}};
  if (found->op == Op::squeeze) source.shape = squeezed(source.shape);
  const auto fail = [](const StoredTensor& tensor, const std::string& what) {
    throw Error(Code::bad_checkpoint, name_and_file(tensor) + " " + what);
  };

  for (size_t k = 0; k < found->tensors.size(); ++k) {
    const StoredTensor& tensor = *found->tensors[k];
    if (!has_fraction(tensor.dtype))
      fail(tensor, "has the type " + std::string(tensor.type) +
                       ", which fude cannot compute with. Use a file with F32, F16, BF16 or F8_E4M3 weights.");
    if (k > 0 && (tensor.shape.empty() || tensor.shape.size() != source.shape.size() ||
                  !std::equal(tensor.shape.begin() + 1, tensor.shape.end(), source.shape.begin() + 1)))
      fail(tensor, "has the shape " + text_of_shape(tensor.shape) + ", which does not go with " +
                       text_of_shape(found->tensors[0]->shape) + " of " + shown(found->names[0]) + ". Download it again.");
    const bool nan_is_zero = component_ == Component::t5 && canonical == "shared.weight" && tensor.dtype == DType::f8_e4m3;
    const int64_t rows = k == 0 ? source.rows() : tensor.shape[0];
    source.parts.push_back({&tensor, 0, rows, scale_of(found->names[k]), nan_is_zero});
    if (k > 0) source.shape[0] += rows;
  }
  if (found->op == Op::swap_halves) {
    const Source::Part whole = source.parts[0];
    const int64_t half = whole.rows / 2;
    if (source.shape.empty() || half * 2 != whole.rows) fail(*whole.tensor, "has an odd number of rows. Download it again.");
    source.parts = {whole, whole};
    source.parts[0].row_begin = half;
    source.parts[0].rows = source.parts[1].rows = half;
  }
  return source;
}

std::vector<const StoredTensor*> ComponentTensors::unexpected(const std::vector<std::string>& canonical) const {
  std::vector<const StoredTensor*> used;
  for (const std::string& name : canonical)
    if (const auto found = stored_for(name)) used.insert(used.end(), found->tensors.begin(), found->tensors.end());
  std::sort(used.begin(), used.end());
  const auto is_used = [&](const StoredTensor* tensor) {
    return tensor && std::binary_search(used.begin(), used.end(), tensor);
  };
  std::vector<const StoredTensor*> left;
  for (const Named& named : stored_) {
    if (is_used(named.tensor) || is_ignored(named.name)) continue;
    const auto weight = weight_described_by(named.name);
    if (!weight || !is_used(stored(*weight))) left.push_back(named.tensor);
  }
  return left;
}

}  // namespace fude
