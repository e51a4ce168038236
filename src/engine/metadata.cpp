#include "engine/metadata.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <type_traits>

#include "fude/error.h"

namespace fude {
namespace {

using Json = nlohmann::ordered_json;

[[noreturn]] void refuse(const std::string& what) {
  throw Error(Code::bad_request,
              {.what = "the request stored in the picture cannot be used: " + what, .remedies = {{Remedy::give_request}}});
}

// As Python writes a float: 7.0, 4.5.
std::string text_of_number(double number) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, number).ptr;
  std::string text(buffer, end);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string quoted_if_needed(const std::string& value) {
  return value.find_first_of(",:\n") == std::string::npos ? value : dump(Json(value));
}

std::string display_name(std::string sampler) {
  if (!sampler.empty() && sampler[0] >= 'a' && sampler[0] <= 'z') sampler[0] = static_cast<char>(sampler[0] - 'a' + 'A');
  return sampler;
}

std::string lower_case(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

template <class Number>
Number number_in(std::string_view name, std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) refuse(std::string(name) + " is not a number it could be");
  return number;
}

template <class T>
void read(const Json& json, const char* name, T& value) {
  const auto found = json.find(name);
  if (found == json.end() || found->is_null()) return;
  bool fits = false;
  if constexpr (std::is_same_v<T, bool>) fits = found->is_boolean();
  else if constexpr (std::is_same_v<T, std::string>) fits = found->is_string();
  else if constexpr (std::is_same_v<T, double>) fits = found->is_number();
  else if constexpr (std::is_same_v<T, uint64_t>) fits = found->is_number_unsigned();
  else {  // int64_t: what does not fit is stored as unsigned
    fits = found->is_number_integer() &&
           !(found->is_number_unsigned() && found->template get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()});
  }
  if (!fits) refuse(std::string(name) + " has a value that it cannot have");
  value = found->template get<T>();
}

// A value that may be empty: null, or left out, means so.
template <class T>
void read(const Json& json, const char* name, std::optional<T>& value) {
  T read_value{};
  const auto found = json.find(name);
  if (found == json.end() || found->is_null()) return;
  read(json, name, read_value);
  value = read_value;
}
template <class T>
Json json_from(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

std::string text_of_size(int64_t width, int64_t height) { return std::to_string(width) + 'x' + std::to_string(height); }

void read_size(std::string_view name, std::string_view text, int64_t& width, int64_t& height) {
  const size_t cross = text.find('x');
  if (cross == std::string_view::npos) refuse("its " + std::string(name) + " is not like 512x512");
  width = number_in<int64_t>(name, text.substr(0, cross));
  height = number_in<int64_t>(name, text.substr(cross + 1));
}

// A part of the request that is there or not: an object with fields of its own.
template <class Part, class Fields>
void read_part(const Json& json, const char* name, std::optional<Part>& part, const Fields& fields) {
  const auto found = json.find(name);
  if (found == json.end() || found->is_null()) return;
  if (!found->is_object()) refuse(std::string(name) + " is not an object");
  fields(*found, part.emplace());
}

// The names of the half types meant torch 2.11's noise by the first rules.
Noise noise_named(const std::string& name, int64_t rules) {
  const std::optional<Noise> noise = noise_from(name);
  if (!noise) refuse("its noise has an unknown name");
  if (rules < 2 && noise == Noise::torch_cpu_f16) return Noise::torch_2_11_cpu_f16;
  if (rules < 2 && noise == Noise::torch_cpu_bf16) return Noise::torch_2_11_cpu_bf16;
  return *noise;
}

Json object_from(std::string_view text) {
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) refuse("it is not a JSON object");
  return json;
}

}  // namespace

std::string text_of_rules(int64_t rules) {
  const char* of = rules < 2 ? "transformers 4, torch 2.11" : rules == 2 ? "transformers 5, torch 2.13" : "a newer fude";
  return std::to_string(rules) + " (" + of + ')';
}

std::string parameters_text(const Provenance& provenance) {
  const Request& request = provenance.request;
  const std::pair<const char*, std::string> fields[] = {
      {"Steps", request.steps ? std::to_string(*request.steps) : ""},
      {"Sampler", display_name(request.sampler)},
      {"Schedule type", "Simple"},
      {"CFG scale", request.guidance ? text_of_number(*request.guidance) : ""},
      {"Seed", std::to_string(request.seed)},
      {"Size", text_of_size(request.width, request.height)},
      {"Model hash", provenance.model_hash},
      {"Model", provenance.model},
      {"Noise", std::string(name_of(request.noise))},
      {"Shift", request.shift ? text_of_number(*request.shift) : ""},
      {"Variation seed", request.variation ? std::to_string(request.variation->seed) : ""},
      {"Variation seed strength", request.variation ? text_of_number(request.variation->amount) : ""},
      {"Denoising strength", request.draft ? text_of_number(request.draft->strength) : ""},
      {"Draft size", request.draft ? text_of_size(request.draft->width, request.draft->height) : ""},
      {"Draft steps", request.draft && request.draft->steps ? std::to_string(*request.draft->steps) : ""},
      {"Batch size", request.batch != 1 ? std::to_string(request.batch) : ""},
      {"Batch pos", request.place != 0 ? std::to_string(request.place) : ""},
      {"VAE tiling", request.vae_tiling ? "on" : ""},
      {"T5", provenance.no_t5 ? "off" : ""},
      {"Dtype", provenance.dtype},
      {"Rules", std::to_string(provenance.rules)},
      {"Version", "fude " + version()},
  };
  std::string line;
  for (const auto& [name, value] : fields) {
    if (!value.empty()) line += (line.empty() ? "" : ", ") + std::string(name) + ": " + quoted_if_needed(value);
  }
  std::string text = request.prompt + '\n';
  if (!request.negative.empty()) text += std::string(kNegativePrefix) + ' ' + request.negative + '\n';
  return text + line;
}

Provenance provenance_from(const Parameters& parameters) {
  Provenance provenance;
  Request& request = provenance.request;
  request.prompt = parameters.prompt;
  request.negative = parameters.negative;
  const auto with = [&](std::string_view name, auto&& use) {
    if (const std::string_view value = parameters.field(name); !value.empty()) use(name, value);
  };
  with("Steps", [&](auto name, auto value) { request.steps = number_in<int64_t>(name, value); });
  with("Sampler", [&](auto, auto value) { request.sampler = lower_case(std::string(value)); });
  with("CFG scale", [&](auto name, auto value) { request.guidance = number_in<double>(name, value); });
  with("Seed", [&](auto name, auto value) { request.seed = number_in<uint64_t>(name, value); });
  with("Size", [&](auto name, auto value) { read_size(name, value, request.width, request.height); });
  provenance.rules = 1;
  with("Rules", [&](auto name, auto value) { provenance.rules = number_in<int64_t>(name, value); });
  with("Noise", [&](auto, auto value) { request.noise = noise_named(std::string(value), provenance.rules); });
  with("Shift", [&](auto name, auto value) { request.shift = number_in<double>(name, value); });
  with("Variation seed", [&](auto name, auto value) { request.variation.emplace().seed = number_in<uint64_t>(name, value); });
  if (request.variation)
    with("Variation seed strength", [&](auto name, auto value) { request.variation->amount = number_in<double>(name, value); });
  with("Draft size",
       [&](auto name, auto value) { read_size(name, value, request.draft.emplace().width, request.draft->height); });
  if (request.draft) {
    with("Draft steps", [&](auto name, auto value) { request.draft->steps = number_in<int64_t>(name, value); });
    with("Denoising strength", [&](auto name, auto value) { request.draft->strength = number_in<double>(name, value); });
  }
  with("Batch size", [&](auto name, auto value) { request.batch = number_in<int64_t>(name, value); });
  with("Batch pos", [&](auto name, auto value) { request.place = number_in<int64_t>(name, value); });
  request.vae_tiling = parameters.field("VAE tiling") == "on";
  provenance.model = parameters.field("Model");
  provenance.model_hash = parameters.field("Model hash");
  provenance.dtype = parameters.field("Dtype");
  provenance.no_t5 = parameters.field("T5") == "off";
  return provenance;
}

Json json_from(const Seconds& seconds) {
  return {{"load", seconds.load},
          {"encode", seconds.encode},
          {"denoise", seconds.denoise},
          {"decode", seconds.decode},
          {"total", seconds.total}};
}

Json json_from(const Bytes& bytes) { return {{"host", bytes.host}, {"device", bytes.device}}; }

Json json_from(const Request& request) {
  Json json = {
      {"prompt", request.prompt},
      {"negative", request.negative},
      {"width", request.width},
      {"height", request.height},
      {"steps", json_from(request.steps)},
      {"guidance", json_from(request.guidance)},
      {"seed", request.seed},
      {"count", request.count},
      {"noise", name_of(request.noise)},
      {"sampler", request.sampler},
      {"rules", kRules},
  };
  if (request.shift) json["shift"] = *request.shift;
  if (request.variation) json["variation"] = {{"seed", request.variation->seed}, {"amount", request.variation->amount}};
  if (const std::optional<Draft>& draft = request.draft)
    json["draft"] = {{"width", draft->width},       {"height", draft->height}, {"steps", json_from(draft->steps)},
                     {"strength", draft->strength}, {"batch", draft->batch},   {"place", draft->place}};
  if (request.batch != 1) json["batch"] = request.batch;
  if (request.place != 0) json["place"] = request.place;
  if (request.vae_tiling) json["vae_tiling"] = true;
  return json;
}

Json json_from(const Provenance& provenance) {
  Json json = json_from(provenance.request);
  json["rules"] = provenance.rules;
  json["t5"] = !provenance.no_t5;
  json["model"] = provenance.model;
  json["model_hash"] = provenance.model_hash;
  json["device"] = provenance.device;
  json["dtype"] = provenance.dtype;
  json["version"] = version();
  return json;
}

Json json_from(const RenderStats& stats) {
  return {{"created", stats.created},
          {"seconds", json_from(stats.seconds)},
          {"step_seconds", stats.step_seconds},
          {"planned_bytes", json_from(stats.planned)},
          {"used_bytes", json_from(stats.used)},
          {"peak_host_bytes", stats.peak_host},
          {"version", stats.version},
          {"libraries", stats.libraries}};
}

RenderStats stats_from_json(std::string_view text) {
  const Json json = object_from(text);
  RenderStats stats;
  const auto part = [&](const char* name) {
    const auto found = json.find(name);
    return found != json.end() && found->is_object() ? *found : Json::object();
  };
  read(json, "created", stats.created);
  const Json seconds = part("seconds");
  read(seconds, "load", stats.seconds.load);
  read(seconds, "encode", stats.seconds.encode);
  read(seconds, "denoise", stats.seconds.denoise);
  read(seconds, "decode", stats.seconds.decode);
  read(seconds, "total", stats.seconds.total);
  if (const auto steps = json.find("step_seconds"); steps != json.end() && steps->is_array()) {
    for (const Json& step : *steps) {
      if (!step.is_number()) refuse("step_seconds has a value that it cannot have");
      stats.step_seconds.push_back(step.get<double>());
    }
  }
  for (const auto& [name, bytes] : {std::pair{"planned_bytes", &stats.planned}, std::pair{"used_bytes", &stats.used}}) {
    const Json both = part(name);
    read(both, "host", bytes->host);
    read(both, "device", bytes->device);
  }
  read(json, "peak_host_bytes", stats.peak_host);
  read(json, "version", stats.version);
  read(json, "libraries", stats.libraries);
  return stats;
}

Provenance provenance_from_json(std::string_view text) {
  const Json json = object_from(text);
  Provenance provenance;
  Request& request = provenance.request;
  read(json, "prompt", request.prompt);
  read(json, "negative", request.negative);
  read(json, "width", request.width);
  read(json, "height", request.height);
  read(json, "steps", request.steps);
  read(json, "guidance", request.guidance);
  read(json, "seed", request.seed);
  read(json, "count", request.count);
  read(json, "sampler", request.sampler);
  provenance.rules = 1;
  read(json, "rules", provenance.rules);
  std::string noise(name_of(request.noise));
  read(json, "noise", noise);
  request.noise = noise_named(noise, provenance.rules);
  double shift = 0;
  read(json, "shift", shift);
  if (shift != 0) request.shift = shift;
  read_part(json, "variation", request.variation, [](const Json& part, Variation& variation) {
    read(part, "seed", variation.seed);
    read(part, "amount", variation.amount);
  });
  read_part(json, "draft", request.draft, [](const Json& part, Draft& draft) {
    read(part, "width", draft.width);
    read(part, "height", draft.height);
    read(part, "steps", draft.steps);
    read(part, "strength", draft.strength);
    read(part, "batch", draft.batch);
    read(part, "place", draft.place);
  });
  read(json, "batch", request.batch);
  read(json, "place", request.place);
  read(json, "vae_tiling", request.vae_tiling);
  bool t5 = true;
  read(json, "t5", t5);
  provenance.no_t5 = !t5;
  read(json, "model", provenance.model);
  read(json, "model_hash", provenance.model_hash);
  read(json, "device", provenance.device);
  read(json, "dtype", provenance.dtype);
  return provenance;
}

}  // namespace fude
