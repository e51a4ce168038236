// Finding the row of a name, and taking a value for it.
#include "engine/named_fields.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>

#include "engine/fields.h"
#include "engine/json_text.h"
#include "engine/metadata.h"
#include "fude/error.h"

namespace fude {
namespace {

using Json = nlohmann::ordered_json;

[[noreturn]] void refuse_name(std::string_view name) {
  throw Error(Code::bad_request, "a request has no field " + text_of_json(name));
}

bool is_among(std::string_view names, std::string_view name) {  // separated by commas
  while (!names.empty()) {
    const size_t end = std::min(names.find(','), names.size());
    if (names.substr(0, end) == name) return true;
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return false;
}

bool is_called(const FieldInfo& info, std::string_view name) {
  return name_of(info.field) == name || is_among(info.other_names, name);
}

// ---- a value ----------------------------------------------------------------------------------------------------------------

bool take(const Json& json, std::string& value) { return json.is_string() && (value = json.get<std::string>(), true); }
bool take(const Json& json, bool& value) { return json.is_boolean() && (value = json.get<bool>(), true); }
bool take(const Json& json, double& value) { return json.is_number() && (value = json.get<double>(), true); }
bool take(const Json& json, uint64_t& value) { return json.is_number_unsigned() && (value = json.get<uint64_t>(), true); }
bool take(const Json& json, int64_t& value) {  // what does not fit is stored as unsigned
  if (!json.is_number_integer()) return false;
  if (json.is_number_unsigned() && json.get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()}) return false;
  value = json.get<int64_t>();
  return true;
}
bool take(const Json& json, Noise& value) {
  const std::optional<Noise> noise = json.is_string() ? noise_from(json.get_ref<const std::string&>()) : std::nullopt;
  value = noise.value_or(value);
  return noise.has_value();
}
template <class T>
bool take(const Json& json, std::vector<T>& values) {
  if (!json.is_array()) return false;
  values.clear();
  for (const Json& each : json)
    if (!take(each, values.emplace_back())) return false;
  return true;
}
template <class T>
bool take(const Json& json, std::optional<T>& value) {
  return take(json, value.emplace());
}

template <class Owner, class Value>
void set(const FieldRow<Owner, Value>& row, Owner& owner, const Json& json) {
  constexpr size_t kMostShown = 40;
  Value value = Owner{}.*row.member;
  if (!json.is_null() && !take(json, value)) {
    std::string shown = text_of_json(json);
    if (shown.size() > kMostShown) shown = "a value that begins with " + shown.substr(0, kMostShown);
    throw Error(Code::bad_request, {.what = words_of(row.info.field) + " cannot be " + shown, .field = row.info.field});
  }
  owner.*row.member = std::move(value);
}

// ---- a name -----------------------------------------------------------------------------------------------------------------

// visit(row, owner()) of the row that is called so; a part comes into being where a field of it is set. False: there is none.
template <class Visit>
bool visit_named(Request& request, std::string_view name, const Visit& visit) {
  bool found = false;
  for_each_row(kRequestFields, [&](const auto& each) {
    if constexpr (kIsPart<std::decay_t<decltype(each)>>) {
      for_each_row(each.rows, [&](const auto& row) {
        if (!is_called(row.info, name)) return;
        found = true;
        auto& part = request.*each.member;
        visit(row, part ? *part : part.emplace());
      });
    } else if (is_called(each.info, name)) {
      found = true;
      visit(each, request);
    }
  });
  return found;
}

// Of a part, as pictures have it: an object, or null.
bool set_part(Request& request, std::string_view name, const Json& value) {
  bool found = false;
  for_each_row(kRequestFields, [&](const auto& each) {
    using Row = std::decay_t<decltype(each)>;
    if constexpr (kIsPart<Row>) {
      if (each.key != name || !(value.is_object() || value.is_null())) return;
      found = true;
      auto& part = request.*each.member;
      if (value.is_null()) return part.reset();
      auto& owner = part ? *part : part.emplace();
      for (const auto& item : value.items()) {  // Clang 14 lets no lambda have names that were bound together
        const std::string& key = item.key();
        const Json& own = item.value();
        bool known = false;
        for_each_row(each.rows, [&](const auto& row) {
          if (row.info.key != key) return;
          known = true;
          set(row, owner, own);
        });
        if (!known) refuse_name(std::string(name) + '.' + key);
      }
    }
  });
  return found;
}

template <class Value>
constexpr bool kIsText =
    std::is_same_v<Value, std::string> || std::is_same_v<Value, std::optional<std::string>> || std::is_same_v<Value, Noise>;
template <class Value>
constexpr bool kIsList = false;
template <class Value>
constexpr bool kIsList<std::vector<Value>> = true;

const char* type_of(const std::string&) { return "text"; }
const char* type_of(Noise) { return "text"; }
const char* type_of(bool) { return "boolean"; }
const char* type_of(int64_t) { return "integer"; }
const char* type_of(uint64_t) { return "integer"; }
const char* type_of(double) { return "number"; }
const char* type_of(const std::vector<int64_t>&) { return "integers"; }
const char* type_of(const std::vector<double>&) { return "numbers"; }
template <class T>
const char* type_of(const std::optional<T>&) {
  return type_of(T{});
}

}  // namespace

void set_by_names(Request& request, const Json& object) {
  if (!object.is_object()) throw Error(Code::bad_request, "a request is a JSON object, and this is none");
  Request changed = request;
  for (const auto& [name, value] : object.items()) {
    if (set_part(changed, name, value)) continue;
    const Json& own = value;
    if (!visit_named(changed, name, [&](const auto& row, auto& owner) { set(row, owner, own); })) refuse_name(name);
  }
  request = std::move(changed);
}

void set_by_name(Request& request, std::string_view name, std::string_view text) {
  Request changed = request;
  const bool found = visit_named(changed, name, [&](const auto& row, auto& owner) {
    using Value = typename std::decay_t<decltype(row)>::Value;
    Json value;
    if constexpr (kIsText<Value>) {
      value = text;
    } else if (!text.empty()) {
      value = Json::parse(kIsList<Value> ? '[' + std::string(text) + ']' : std::string(text), nullptr, false);
      if (value.is_discarded() || value.is_null()) value = text;  // which is refused as it is
    }
    set(row, owner, value);
  });
  if (!found) refuse_name(name);
  request = std::move(changed);
}

Json named_values(const Request& request) {
  Json json = json_from(request);
  json.erase("rules");
  json.erase("embeddings");
  json.erase("latents");
  return json;
}

Json named_fields() {
  Json all = Json::array();
  visit_rows([&](const auto& row) {
    using Value = typename std::decay_t<decltype(row)>::Value;
    const FieldInfo& info = row.info;
    Json others = Json::array();
    for (std::string_view left = info.other_names; !left.empty();) {
      const size_t end = std::min(left.find(','), left.size());
      others.push_back(left.substr(0, end));
      left.remove_prefix(std::min(end + 1, left.size()));
    }
    Json field = {{"name", name_of(info.field)}, {"other_names", others}, {"type", type_of(Value{})}, {"help", info.help}};
    if (info.range) field.update({{"least", info.range->least}, {"most", info.range->most}});
    all.push_back(field);
  });
  return all;
}

}  // namespace fude
