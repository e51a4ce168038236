// Going over a request's rows to write and read JSON and A1111's text.
#include "engine/metadata.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <type_traits>

#include "engine/fields.h"
#include "engine/json_text.h"
#include "engine/latents.h"
#include "engine/request.h"
#include "engine/size_text.h"
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

std::string quoted_if_needed(const std::string& value) {
  return value.find_first_of(",:\n") == std::string::npos ? value : text_of_json(value);
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

// The names of the half types meant torch 2.11's noise by the first rules.
Noise noise_named(const std::string& name, int64_t rules) {
  const std::optional<Noise> noise = noise_from(name);
  if (!noise) refuse("its noise has an unknown name");
  if (rules < 2 && noise == Noise::torch_cpu_f16) return Noise::torch_2_11_cpu_f16;
  if (rules < 2 && noise == Noise::torch_cpu_bf16) return Noise::torch_2_11_cpu_bf16;
  return *noise;
}

// ---- a field's value in JSON ------------------------------------------------------------------------------------------------

template <class T>
Json json_of(const T& value) {
  return value;
}
template <class T>
Json json_of(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}
Json json_of(Noise noise) { return name_of(noise); }

void read(const Json& json, const char* name, Noise& noise, int64_t rules) {
  std::string text(name_of(noise));
  read(json, name, text);
  noise = noise_named(text, rules);
}
template <class T>
void read(const Json& json, const char* name, std::vector<T>& values, int64_t) {
  const auto found = json.find(name);
  if (found == json.end() || found->is_null()) return;
  if (!found->is_array()) refuse(std::string(name) + " is not a list");
  values.clear();
  for (const Json& value : *found) read(Json{{name, value}}, name, values.emplace_back());
}
template <class T>
void read(const Json& json, const char* name, T& value, int64_t) {
  read(json, name, value);
}

template <class Owner, class Value>
bool is_written(const FieldRow<Owner, Value>& row, const Owner& owner) {
  return row.info.always_written || owner.*row.member != Owner{}.*row.member;
}

template <class Rows, class Owner>
Json object_of(const Rows& rows, const Owner& owner);

template <class Owner, class Value>
void write(const FieldRow<Owner, Value>& row, const Owner& owner, Json& json) {
  if (is_written(row, owner)) json[std::string(row.info.key)] = json_of(owner.*row.member);
}
template <class Part, class Rows>
void write(const PartRow<Part, Rows>& part, const Request& request, Json& json) {
  if (const std::optional<Part>& owner = request.*part.member) json[std::string(part.key)] = object_of(part.rows, *owner);
}

template <class Rows, class Owner>
Json object_of(const Rows& rows, const Owner& owner) {
  Json json = Json::object();
  for_each_row(rows, [&](const auto& row) { write(row, owner, json); });
  return json;
}

template <class Rows, class Owner>
void read_object(const Json& json, const Rows& rows, Owner& owner, int64_t rules);

template <class Owner, class Value>
void read_row(const Json& json, const FieldRow<Owner, Value>& row, Owner& owner, int64_t rules) {
  read(json, std::string(row.info.key).c_str(), owner.*row.member, rules);
}
template <class Part, class Rows>
void read_row(const Json& json, const PartRow<Part, Rows>& part, Request& request, int64_t rules) {
  const auto found = json.find(std::string(part.key));
  if (found == json.end() || found->is_null()) return;
  if (!found->is_object()) refuse(std::string(part.key) + " is not an object");
  read_object(*found, part.rows, (request.*part.member).emplace(), rules);
}

template <class Rows, class Owner>
void read_object(const Json& json, const Rows& rows, Owner& owner, int64_t rules) {
  for_each_row(rows, [&](const auto& row) { read_row(json, row, owner, rules); });
}

// ---- a field's value in A1111's text ----------------------------------------------------------------------------------------

std::string text_of(const FieldInfo& info, const std::string& value) {
  const std::vector<Names>* names = names_for(info.field);
  return names ? a1111_name_of(*names, value) : value;
}
std::string text_of(const FieldInfo&, int64_t value) { return std::to_string(value); }
std::string text_of(const FieldInfo&, uint64_t value) { return std::to_string(value); }
std::string text_of(const FieldInfo&, double value) { return text_of_number(value); }
std::string text_of(const FieldInfo&, bool value) { return value ? "on" : ""; }
template <class T>
std::string text_of(const FieldInfo& info, const std::vector<T>& values) {
  std::string text;
  for (const T value : values) text += (text.empty() ? "" : ", ") + text_of(info, value);
  return text;
}
std::string text_of(const FieldInfo&, Noise value) { return std::string(name_of(value)); }
template <class T>
std::string text_of(const FieldInfo& info, const std::optional<T>& value) {
  return value ? text_of(info, *value) : "";
}

void read_text(const FieldInfo& info, std::string_view text, std::string& value, int64_t) {
  const std::vector<Names>* names = names_for(info.field);
  value = names ? name_from_a1111(*names, text) : std::string(text);
}
template <class T>
void read_text(const FieldInfo& info, std::string_view text, std::vector<T>& values, int64_t) {
  values.clear();
  while (!text.empty()) {
    const size_t begin = std::min(text.find_first_not_of(' '), text.size());
    const size_t end = std::min(text.find(','), text.size());
    values.push_back(number_in<T>(info.a1111, text.substr(begin, end - std::min(begin, end))));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}
void read_text(const FieldInfo& info, std::string_view text, int64_t& value, int64_t) {
  value = number_in<int64_t>(info.a1111, text);
}
void read_text(const FieldInfo& info, std::string_view text, uint64_t& value, int64_t) {
  value = number_in<uint64_t>(info.a1111, text);
}
void read_text(const FieldInfo& info, std::string_view text, double& value, int64_t) {
  value = number_in<double>(info.a1111, text);
}
void read_text(const FieldInfo&, std::string_view text, bool& value, int64_t) { value = text == "on"; }
void read_text(const FieldInfo&, std::string_view text, Noise& value, int64_t rules) {
  value = noise_named(std::string(text), rules);
}
template <class T>
void read_text(const FieldInfo& info, std::string_view text, std::optional<T>& value, int64_t rules) {
  read_text(info, text, value.emplace(), rules);
}

// The row's own text in the line: one side of a size, or all of it. Empty: it is not there.
std::string_view text_in(const Parameters& parameters, const FieldInfo& info) {
  if (info.a1111.empty()) return {};
  const std::string_view text = parameters.field(info.a1111);
  if (info.a1111_side == 0 || text.empty()) return text;
  const size_t cross = text.find('x');
  if (cross == std::string_view::npos) refuse("its " + std::string(info.a1111) + " is not like 512x512");
  return info.a1111_side == 1 ? text.substr(0, cross) : text.substr(cross + 1);
}

template <class Owner, class Value>
void read_row(const Parameters& parameters, const FieldRow<Owner, Value>& row, Owner& owner, int64_t rules) {
  if (row.info.a1111_side != 0) {
    if (!parameters.field(row.info.a1111).empty()) read_text(row.info, text_in(parameters, row.info), owner.*row.member, rules);
  } else if (const std::string_view text = text_in(parameters, row.info); !text.empty()) {
    read_text(row.info, text, owner.*row.member, rules);
  }
}
template <class Part, class Rows>
void read_row(const Parameters& parameters, const PartRow<Part, Rows>& part, Request& request, int64_t rules) {
  if (parameters.field(std::get<0>(part.rows).info.a1111).empty()) return;
  Part& owner = (request.*part.member).emplace();
  for_each_row(part.rows, [&](const auto& row) { read_row(parameters, row, owner, rules); });
}

// The order that pictures have; a new field of requests comes behind these.
constexpr std::string_view kLine[] = {"Steps",
                                      "Sampler",
                                      "Schedule type",
                                      "CFG scale",
                                      "Seed",
                                      "Size",
                                      "Model hash",
                                      "Model",
                                      "Noise",
                                      "Shift",
                                      "Variation seed",
                                      "Variation seed strength",
                                      "Denoising strength",
                                      "Draft size",
                                      "Draft steps",
                                      "Batch size",
                                      "Batch pos",
                                      "VAE tiling"};

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
  std::vector<std::pair<std::string, std::string>> fields;
  for (const std::string_view name : kLine) fields.emplace_back(name, "");
  const auto set = [&](std::string_view name, const std::string& value) {
    const auto known = std::find_if(fields.begin(), fields.end(), [&](const auto& field) { return field.first == name; });
    std::string& text = known == fields.end() ? fields.emplace_back(name, "").second : known->second;
    text += (text.empty() ? "" : "x") + value;
  };
  visit_fields(request, [&](const auto& row, const auto& owner) {
    if (!row.info.a1111.empty() && (row.info.always_in_text || is_written(row, owner)))
      set(row.info.a1111, text_of(row.info, owner.*row.member));
  });
  set("Model hash", provenance.model_hash);
  set("Model", provenance.model);
  set("T5", provenance.no_t5 ? "off" : "");
  set("Dtype", provenance.dtype);
  set("Embeddings", provenance.embeddings);
  set("Latents", provenance.latents);
  set("Rules", std::to_string(provenance.rules));
  set("Version", "fude " + version());
  std::string line;
  for (const auto& [name, value] : fields) {
    if (!value.empty()) line += (line.empty() ? "" : ", ") + name + ": " + quoted_if_needed(value);
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
  provenance.rules = 1;
  if (const std::string_view rules = parameters.field("Rules"); !rules.empty())
    provenance.rules = number_in<int64_t>("Rules", rules);
  for_each_row(kRequestFields, [&](const auto& row) { read_row(parameters, row, request, provenance.rules); });
  provenance.model = parameters.field("Model");
  provenance.model_hash = parameters.field("Model hash");
  provenance.dtype = parameters.field("Dtype");
  provenance.no_t5 = parameters.field("T5") == "off";
  provenance.embeddings = parameters.field("Embeddings");
  provenance.latents = parameters.field("Latents");
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
  Json json = Json::object();
  for_each_row(kRequestFields, [&](const auto& row) {
    write(row, request, json);
    if constexpr (!kIsPart<std::decay_t<decltype(row)>>)
      if (row.info.field == Field::sampler) json["rules"] = kRules;  // where pictures have it
  });
  if (request.embeddings) json["embeddings"] = hash_of(*request.embeddings);
  if (request.latents) json["latents"] = hash_of(*request.latents);
  return json;
}

Json json_from(const Provenance& provenance) {
  Request without = provenance.request;
  without.embeddings.reset();  // whose hash is known
  without.latents.reset();
  Json json = json_from(without);
  if (!provenance.embeddings.empty()) json["embeddings"] = provenance.embeddings;
  if (!provenance.latents.empty()) json["latents"] = provenance.latents;
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
  provenance.rules = 1;
  read(json, "rules", provenance.rules);
  read_object(json, kRequestFields, request, provenance.rules);
  if (request.shift == 0.0) request.shift.reset();  // the checkpoint's, as older files say it
  bool t5 = true;
  read(json, "t5", t5);
  provenance.no_t5 = !t5;
  read(json, "model", provenance.model);
  read(json, "model_hash", provenance.model_hash);
  read(json, "device", provenance.device);
  read(json, "dtype", provenance.dtype);
  read(json, "embeddings", provenance.embeddings);
  read(json, "latents", provenance.latents);
  return provenance;
}

}  // namespace fude
