// Turning a spec into tasks, and reading and writing session.json.
#include "session/spec.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

#include "engine/grid.h"
#include "engine/json_text.h"
#include "engine/metadata.h"
#include "engine/model_files.h"
#include "engine/request.h"
#include "fude/error.h"
#include "session/wildcards.h"
#include "weights/quote.h"

namespace fude {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kDeepest = 6;  // text_from nests less than that
constexpr int kMostThreads = 4096;
constexpr uint64_t kMostText = uint64_t{1} << 30;  // bytes of all pictures' prompts

// Error{bad_request} for more pictures than fude numbers, or texts that would fill the memory.
void check_extent(uint64_t count, const SessionSpec& spec) {
  if (count > uint64_t{kMostPictures})
    throw Error(Code::bad_request, "these are more than " + std::to_string(kMostPictures) +
                                       " pictures, as many as fude numbers. Give shorter lists, or larger steps of a range.");
  const auto longest = [](const std::string& one, const std::vector<std::string>& several) {
    size_t size = one.size();
    for (const std::string& text : several) size = std::max(size, text.size());
    return size;
  };
  const Grid& grid = spec.grid;
  const size_t text = longest(grid.request.prompt, grid.prompts) + longest(grid.request.negative, grid.negatives);
  if (text * count > kMostText) throw Error(Code::bad_request, "the prompts are too long for so many pictures. Shorten them.");
}

// Exactly its type: unlike nlohmann's conversions, one kind of number is never converted to another.
template <class Value>
Value value_of(const Json& json) {
  bool fits = false;
  if constexpr (std::is_same_v<Value, bool>) fits = json.is_boolean();
  else if constexpr (std::is_same_v<Value, std::string>) fits = json.is_string();
  else if constexpr (std::is_same_v<Value, double>) fits = json.is_number();
  else if constexpr (std::is_same_v<Value, uint64_t>) fits = json.is_number_unsigned();
  else fits = json.is_number_integer() && (!json.is_number_unsigned() || json.get<uint64_t>() <= uint64_t{INT64_MAX});
  if (!fits) throw Error(Code::bad_request, "a value is of the wrong kind");
  return json.get<Value>();
}

template <>
Size value_of<Size>(const Json& json) {
  if (!json.is_array() || json.size() != 2) throw Error(Code::bad_request, "a size is not two numbers");
  return {value_of<int64_t>(json[0]), value_of<int64_t>(json[1])};
}

// A field, if it is there.
template <class Value>
void read(const Json& json, const char* name, Value& value) {
  if (const auto found = json.find(name); found != json.end()) value = value_of<Value>(*found);
}

template <class Value>
void read_list(const Json& json, std::string_view name, std::vector<Value>& values) {
  const auto found = json.find(std::string(name));
  if (found == json.end()) return;
  if (!found->is_array()) throw Error(Code::bad_request, std::string(name) + " is not a list");
  for (const Json& value : *found) values.push_back(value_of<Value>(value));
}

template <class Value>
Json json_of(const Value& value) {
  return value;
}
Json json_of(const Size& size) { return {size.width, size.height}; }

Json object_in(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_object()) throw Error(Code::bad_request, std::string("it has no ") + name);
  return *found;
}

SessionSpec read_spec(const Json& json) {
  if (!json.is_object()) throw Error(Code::bad_request, "it is not a JSON object");
  SessionSpec spec;
  read(json, "kind", spec.kind);
  const bool gacha = spec.kind == kGacha;
  if (!gacha && spec.kind != kSweep) throw Error(Code::bad_request, "its kind is neither sweep nor gacha");
  read(json, "created", spec.created);
  const Json model = object_in(json, "model");
  const Json axes = object_in(json, "axes");
  for (const auto& [name, path] : kModelPaths) read(model, name, spec.files.*path);
  read(model, "no_t5", spec.files.no_t5);
  read(model, "hash", spec.model_hash);
  int64_t threads = 0;
  read(json, "device", spec.engine.device);
  read(json, "dtype", spec.engine.dtype);
  read(json, "threads", threads);
  if (threads < 0 || threads > kMostThreads) throw Error(Code::bad_request, "threads is out of range");
  spec.engine.threads = static_cast<int>(threads);
  spec.grid.request = provenance_from_json(text_of_json(object_in(json, "request"))).request;
  read_list(axes, "dtype", spec.dtypes);
  visit_axes(spec.grid, [&](Field field, auto& values) { read_list(axes, name_of(field), values); });
  read(json, "count", spec.count);
  read(json, "in_a_row", spec.in_a_row);
  read(json, "minutes", spec.minutes);
  if (!(spec.minutes >= 0 && spec.minutes <= kMostMinutes)) throw Error(Code::bad_request, "minutes is out of range");
  if (gacha && (spec.count < 1 || spec.in_a_row < 1 || spec.grid.prompts.empty()))
    throw Error(Code::bad_request, "it names no candidates");
  for (const Task& task : tasks_of(spec)) {
    if (!task.request.steps) throw Error(Code::bad_request, "it does not say how many steps");
    check_request(task.request);
  }
  return spec;
}

}  // namespace

int64_t count_of(const SessionSpec& spec) {
  const Grid& grid = spec.grid;
  uint64_t count = 1;
  if (spec.kind == kGacha) {
    count = static_cast<uint64_t>(spec.count);
  } else {
    const auto times = [&](size_t values) {
      count = std::min<uint64_t>(count * std::max<size_t>(values, 1), uint64_t{kMostPictures} + 1);
    };
    times(spec.dtypes.size());
    visit_axes(grid, [&](Field, const auto& values) { times(values.size()); });
  }
  check_extent(count, spec);
  return static_cast<int64_t>(count);
}

std::vector<Task> tasks_of(const SessionSpec& spec) {
  const int64_t count = count_of(spec);
  std::vector<Task> tasks;
  tasks.reserve(static_cast<size_t>(count));
  if (spec.kind == kGacha) {
    const Wildcards prompts(spec.grid.prompts);
    for (int64_t i = 0; i < count; ++i) {
      Task& task = tasks.emplace_back(Task{i + 1, spec.engine.dtype, spec.grid.request});
      task.request.count = 1;
      task.request.seed += static_cast<uint64_t>(i);
      task.request.prompt = prompts.prompt_of(static_cast<uint64_t>(i / spec.in_a_row));
    }
    return tasks;
  }
  const std::vector<Request> requests = requests_of(spec.grid);
  for (const std::string& dtype : spec.dtypes.empty() ? std::vector{spec.engine.dtype} : spec.dtypes) {
    for (const Request& request : requests) {
      tasks.push_back({static_cast<int64_t>(tasks.size()) + 1, dtype, request});
      tasks.back().request.count = 1;
    }
  }
  return tasks;
}

Batch next_batch(const SessionSpec& spec, std::span<const Task> tasks, int64_t most) {
  size_t count = 1;
  if (spec.kind == kGacha) {
    const auto follows = [&](size_t i) {
      return tasks[i].number == tasks[0].number + static_cast<int64_t>(i) && tasks[i].request.prompt == tasks[0].request.prompt;
    };
    while (count < tasks.size() && count < static_cast<size_t>(most) && follows(count)) ++count;
  }
  Batch batch{tasks[0].request, tasks.first(count)};
  batch.request.count = static_cast<int64_t>(count);
  return batch;
}

int64_t candidates_in_a_row(uint64_t combinations, int64_t count) {
  const auto all = static_cast<int64_t>(std::min<uint64_t>(combinations, static_cast<uint64_t>(count)));
  return std::clamp<int64_t>(count / all, 1, kMostCandidatesInARow);
}

int64_t count_in_time(int64_t drawn, double left, double each) {
  constexpr double kShortest = 1e-3;  // no picture takes less
  const double more = std::min(std::max(0.0, left) / std::max(kShortest, each), static_cast<double>(kMostPictures));
  return std::clamp(drawn + static_cast<int64_t>(more), int64_t{1}, kMostPictures);
}

double effort_of(const Request& request) {
  const auto pixels = static_cast<double>(request.width * request.height);
  return pixels * rows_of_steps(request);
}

int64_t bytes_of(const SessionSpec& spec, const Request& request) {
  const int64_t pixels = request.width * request.height;
  // A PNG takes about half of its pixels' bytes. Noise and latents are 16 channels of f32 for each 8x8 pixels.
  return pixels * 3 / 2 + (spec.kind == kGacha ? 2 * pixels : 0);
}

std::string text_from(const SessionSpec& spec) {
  Json json = {{"fude", version()}, {"kind", spec.kind}, {"created", spec.created}};
  Json& model = json["model"];
  for (const auto& [name, path] : kModelPaths)
    if (!(spec.files.*path).empty()) model[name] = spec.files.*path;
  if (spec.files.no_t5) model["no_t5"] = true;
  model["hash"] = spec.model_hash;
  json["device"] = spec.engine.device;
  json["dtype"] = spec.engine.dtype;
  if (spec.engine.threads != 0) json["threads"] = spec.engine.threads;
  json["request"] = json_from(spec.grid.request);

  Json axes = Json::object();
  if (!spec.dtypes.empty()) axes["dtype"] = spec.dtypes;
  visit_axes(spec.grid, [&](Field field, const auto& values) {
    for (const auto& value : values) axes[std::string(name_of(field))].push_back(json_of(value));
  });
  json["axes"] = axes;
  if (spec.kind == kGacha) {
    json["count"] = spec.count;
    json["in_a_row"] = spec.in_a_row;
    if (spec.minutes > 0) json["minutes"] = spec.minutes;
  }
  return text_of_json(json, 1) + '\n';
}

SessionSpec spec_from(std::string_view text, const std::string& where) {
  const auto refuse = [&](const std::string& why) {
    throw Error(Code::bad_request, shown(where) + " is not what a sweep or gacha of fude wrote: " + why +
                                       ". The pictures beside it are unharmed; draw the rest in a new session.");
  };
  try {
    const auto bounded = [](int depth, Json::parse_event_t, Json&) {
      if (depth > kDeepest) throw Error(Code::bad_request, "it nests too deep");
      return true;
    };
    return read_spec(Json::parse(text, bounded));
  } catch (const Json::exception&) {
    refuse("a value is missing, or of the wrong kind");
  } catch (const Error& error) {
    refuse(error.what());
  }
  return {};
}

}  // namespace fude
