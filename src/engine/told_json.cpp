// The fields of messages, failures and plans.
#include "engine/told_json.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "engine/metadata.h"

namespace fude {
namespace {

using Json = nlohmann::ordered_json;

Json json_from(const Remedy& remedy) {
  Json json = {{"kind", name_of(remedy.kind)}};
  if (remedy.field != Field::none) json["field"] = name_of(remedy.field);
  if (!remedy.values.empty()) json["values"] = remedy.values;
  if (remedy.width > 0) json["width"] = remedy.width;
  if (remedy.height > 0) json["height"] = remedy.height;
  if (remedy.bytes > 0) json["bytes"] = remedy.bytes;
  if (!remedy.path.empty()) json["path"] = remedy.path;
  return json;
}

Json text_or_null(std::string_view text) { return text.empty() ? Json() : Json(text); }

Json json_from(const ComponentPlan& component) {
  return {{"dtype", component.dtype},
          {"weights_bytes", component.weights},
          {"resident_bytes", component.resident},
          {"parts", component.parts},
          {"resident_parts", component.resident_parts},
          {"slot_bytes", component.slots},
          {"host_memory_bytes", component.in_host_memory}};
}

}  // namespace

Json json_from(const Message& message, Words words) {
  Json remedies = Json::array(), parts = Json::array();
  for (const Remedy& remedy : message.remedies) remedies.push_back(json_from(remedy));
  for (const Message& part : message.parts) parts.push_back(json_from(part, words));
  return {{"message", words(message)},
          {"field", text_or_null(name_of(message.field))},
          {"where", {{"file", text_or_null(message.where.file)}, {"component", text_or_null(message.where.component)}}},
          {"remedies", remedies},
          {"parts", parts}};
}

Json json_from(const Error& error, Words words) {
  Json json = {{"code", name_of(error.code())}};
  json.update(json_from(error.message(), words));
  return json;
}

Json json_from(const Plan& plan, Words words) {
  Json residency = Json::object(), advice = Json::array();
  for (const ComponentPlan& component : plan.components) residency[component.name] = json_from(component);
  for (const Message& each : plan.advice) advice.push_back(words(each));
  return {
      {"fits", plan.fits},
      {"planned_bytes", json_from(plan.planned)},
      {"process_bytes", json_from(plan.process)},
      {"budget_bytes", json_from(plan.budget)},
      {"residency", residency},
      {"streamed_bytes_per_step", plan.streamed_per_step},
      {"decode", {{"tiles", plan.decode_tiles}, {"strips", plan.decode_strips}, {"through_host", plan.decode_through_host}}},
      {"predicted_seconds", json_from(plan.predicted)},
      {"advice", advice},
      {"nearest", plan.nearest ? json_from(*plan.nearest) : Json()},
      {"request", json_from(plan.request)}};
}

}  // namespace fude
