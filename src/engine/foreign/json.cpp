// Parsing of foreign JSON, and the field names programs use.
#include "engine/foreign/json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "diffusion/samplers.h"
#include "engine/foreign/names.h"
#include "weights/json_file.h"

namespace fude {
namespace {

constexpr size_t kDeepest = 64, kMostValues = 200'000;

// Keys that mean the same, folded. The first that an object has counts.
using Keys = std::initializer_list<std::string_view>;

const ForeignJson* field_of(const ForeignJson& object, Keys names) {
  for (const std::string_view name : names) {
    for (const auto& [key, value] : object.items())
      if (folded(key) == name && !value.is_null()) return &value;
  }
  return nullptr;
}

std::optional<std::string> text_in(const ForeignJson* json) {
  if (!json || !json->is_string()) return std::nullopt;
  return json->get<std::string>();
}

template <class Number>
std::optional<Number> parsed(std::string_view text) {
  Number number{};
  text = stripped(text);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Whether the value says that the feature named by its key is off.
bool is_void(const ForeignJson& value) {
  return value.is_null() || value.empty() || value == false || value == 0 || value == "" || value == "None" ||
         value == "Automatic";
}

}  // namespace

std::optional<ForeignJson> json_object_in(std::string_view text) {
  text = stripped(text);
  while (text.ends_with('\0')) text.remove_suffix(1);
  if (!text.starts_with('{') || excess_of_json(text, kDeepest, kMostValues) != JsonExcess::none) return std::nullopt;
  std::string json;
  json.reserve(text.size());
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      in_string = c != '"';
      json += c;
      if (c == '\\' && i + 1 < text.size()) json += text[++i];
      continue;
    }
    in_string = c == '"';
    bool replaced = false;
    for (const std::string_view word : {"NaN", "-Infinity", "Infinity"}) {
      if (!text.substr(i).starts_with(word)) continue;
      json += "null";
      i += word.size() - 1;
      replaced = true;
      break;
    }
    if (!replaced) json += c;
  }
  ForeignJson object = ForeignJson::parse(json, nullptr, false);
  if (!object.is_object()) return std::nullopt;
  return std::make_optional<ForeignJson>(std::move(object));
}

std::optional<double> number_in(const ForeignJson& json) {
  const std::optional<double> number = json.is_number()   ? std::optional(json.get<double>())
                                       : json.is_string() ? parsed<double>(json.get_ref<const std::string&>())
                                                          : std::nullopt;
  return number && std::isfinite(*number) ? number : std::nullopt;
}

std::optional<int64_t> integer_in(const ForeignJson& json) {
  const std::optional<double> number = number_in(json);
  if (!number || *number != std::floor(*number) || std::abs(*number) > 0x1p53) return std::nullopt;
  return static_cast<int64_t>(*number);
}

std::optional<uint64_t> seed_in(const ForeignJson& json) {
  if (json.is_number_unsigned()) return json.get<uint64_t>();
  if (json.is_string()) return parsed<uint64_t>(json.get_ref<const std::string&>());
  const std::optional<int64_t> number = integer_in(json);
  return number && *number >= 0 ? std::optional(static_cast<uint64_t>(*number)) : std::nullopt;
}

void take_request(const ForeignJson& object, ForeignPicture& picture) {
  const auto take = [&](auto& value, Keys names, auto read) {
    if (const ForeignJson* field = field_of(object, names)) value = read(*field);
  };
  picture.prompt = text_in(field_of(object, {"prompt", "positiveprompt", "positive"}));
  picture.negative = text_in(field_of(object, {"negativeprompt", "negative", "uc"})).value_or("");
  take(picture.steps, {"steps", "numinferencesteps", "samplesteps"}, integer_in);
  take(picture.guidance, {"cfgscale", "guidancescale", "cfg", "scale", "guidance"}, number_in);
  take(picture.seed, {"seed"}, seed_in);
  take(picture.shift, {"sigmashift", "shift"}, number_in);
  std::optional<int64_t> width, height;
  take(width, {"width"}, integer_in);
  take(height, {"height"}, integer_in);
  if (width && height) picture.size = Size{*width, *height};
  const std::string sampler = text_in(field_of(object, {"sampler", "samplername", "samplemethod"})).value_or("");
  const std::string scheduler = text_in(field_of(object, {"scheduler", "schedule", "noiseschedule"})).value_or("");
  const SamplerNames names = split_sampler(sampler.empty() ? scheduler : sampler);
  picture.sampler = names.sampler;
  picture.schedule = sampler.empty() || scheduler.empty() ? names.schedule : scheduler;
  if (const ForeignJson* model = field_of(object, {"model", "modelname", "basemodel", "basemodelname"})) {
    const ForeignJson* name = model->is_object() ? field_of(*model, {"name", "modelname"}) : model;
    picture.model = text_in(name).value_or("");
  }
  for (const auto& [key, value] : object.items())  // a strength does not say that its feature is on
    if (!is_void(value) && !folded(key).ends_with("strength")) drop(picture, name_of_dropped(key));
}

void drop(ForeignPicture& picture, std::string what) {
  constexpr size_t kMost = 12;  // reported for one picture
  std::vector<std::string>& all = picture.dropped;
  if (what.empty() || all.size() >= kMost || std::find(all.begin(), all.end(), what) != all.end()) return;
  all.push_back(std::move(what));
}

}  // namespace fude
