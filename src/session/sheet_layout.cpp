// Axes, titles and captions of the contact sheet of a session.
#include "session/sheet_layout.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/characters.h"
#include "engine/grid.h"
#include "engine/size_text.h"
#include "session/wildcards.h"

namespace fude {
namespace {

std::string text_of(double number) {
  char buffer[32];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, number).ptr};
}
std::string text_of(int64_t number) { return std::to_string(number); }
std::string text_of(uint64_t number) { return std::to_string(number); }
std::string text_of(const std::string& text) { return text; }
template <class Value>
std::string text_of(const std::optional<Value>& value) {
  return value ? text_of(*value) : "";
}
std::string text_of(const Size& size) { return text_of_size(size); }

// "puppy · snow"; a dash stands for an option that is empty. Of several none is so long that it hides the others.
std::string text_of(const std::vector<std::string>& choices) {
  constexpr size_t kLongestOfSeveral = 24;
  std::string all;
  for (const std::string& choice : choices) {
    const size_t begin = choice.find_first_not_of(' ');
    const size_t end = choice.find_last_not_of(' ');
    const std::string text = begin == std::string::npos ? "—" : choice.substr(begin, end + 1 - begin);
    all += (all.empty() ? "" : " · ") + (choices.size() > 1 ? first_characters(text, kLongestOfSeveral) : text);
  }
  return all;
}

// The axes in the order of requests_of, the last changing fastest.
std::vector<Axis> axes_of(const SessionSpec& spec) {
  std::vector<Axis> axes;
  const auto add = [&](std::string_view name, const auto& values) {
    if (values.size() < 2) return;
    Axis& axis = axes.emplace_back(Axis{std::string(name), {}});
    for (const auto& value : values) axis.values.push_back(text_of(value));
  };
  add("dtype", spec.dtypes);
  visit_axes(spec.grid, [&](Field field, const auto& values) { add(name_of(field), values); });
  return axes;
}

}  // namespace

Arrangement layout_of(const SessionSpec& spec, const std::string& model) {
  const std::vector<Task> tasks = tasks_of(spec);
  const Request& request = tasks.front().request;
  Arrangement arrangement;
  if (spec.kind == kSweep) arrangement.axes = axes_of(spec);
  arrangement.count = static_cast<int64_t>(tasks.size());
  for (const Task& task : tasks) {
    const auto pixels = [](int64_t width, int64_t height) { return width * height; };
    if (pixels(task.request.width, task.request.height) > pixels(arrangement.size.width, arrangement.size.height))
      arrangement.size = {task.request.width, task.request.height};
  }

  const auto varies = [&](const char* name) {
    return std::any_of(arrangement.axes.begin(), arrangement.axes.end(), [&](const Axis& axis) { return axis.name == name; });
  };
  if (spec.kind == kGacha) {
    arrangement.title = spec.grid.prompts.size() == 1 ? spec.grid.prompts[0] : "";
    arrangement.candidates = true;
    const Wildcards prompts(spec.grid.prompts);
    for (size_t i = 0; prompts.combinations() > 1 && i < tasks.size(); ++i)
      arrangement.choices.push_back(text_of(prompts.choices_of(i / static_cast<uint64_t>(spec.in_a_row))));
  } else if (!varies("prompt")) {
    arrangement.title = request.prompt;
  }

  std::string shared;
  const auto add = [&](const char* name, const std::string& text) {
    if (!varies(name)) shared += (shared.empty() ? "" : " · ") + text;
  };
  add("steps", text_of(request.steps) + (request.steps == 1 ? " step" : " steps"));
  add("guidance", "guidance " + text_of(request.guidance) + (request.guidance && *request.guidance <= 1 ? " (off)" : ""));
  if (spec.kind == kSweep) add("seed", "seed " + text_of(request.seed));
  else shared += " · seeds from " + text_of(request.seed);
  add("size", text_of(request.width) + "×" + text_of(request.height));
  add("sampler", request.sampler);
  if (request.schedule != Request{}.schedule) add("schedule", "schedule " + request.schedule);
  if (request.shift) add("shift", "shift " + text_of(*request.shift));
  arrangement.lines.push_back(shared);
  if (!varies("negative") && !request.negative.empty()) arrangement.lines.push_back("without " + request.negative);
  arrangement.lines.push_back(varies("dtype") || spec.engine.dtype == "auto" ? model : model + ", " + spec.engine.dtype);
  return arrangement;
}

std::string label_of(const SessionSpec& spec, const Arrangement& layout, const Task& task) {
  if (spec.kind == kGacha) {
    const std::string seed = "seed " + text_of(task.request.seed);
    const bool one_prompt = Wildcards(spec.grid.prompts).combinations() == 1;
    return one_prompt ? seed : seed + ", " + task.request.prompt;
  }
  std::string label;
  for (size_t axis = 0; axis < layout.axes.size(); ++axis)
    label += (label.empty() ? "" : ", ") + label_of(layout.axes[axis], value_of(layout, axis, task.number));
  return label.empty() ? "seed " + text_of(task.request.seed) : label;
}

}  // namespace fude
