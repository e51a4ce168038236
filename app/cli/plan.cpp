// fude plan: what a request will need, before anything is loaded or drawn.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "commands.h"
#include "console.h"
#include "engine/metadata.h"
#include "engine/request.h"
#include "engine/told_json.h"
#include "fude/error.h"
#include "fude/fude.h"
#include "options.h"
#include "picture_job.h"
#include "terminal.h"
#include "weights/component.h"
#include "wording.h"

namespace fude {
namespace {

using Json = nlohmann::ordered_json;

// What a plan is told with.
struct Told {
  const Plan& plan;
  const Engine& engine;
  const std::string& card;       // that is not here; empty: the machine is this one
  std::optional<Error> failure;  // where it does not fit
  bool on_card() const { return plan.budget.device > 0; }
};

// ---- JSON ------------------------------------------------------------------------------------------------------------------

Json json_from(const Told& told) {
  Json json = json_from(told.plan, worded);
  json["projected"] = !told.card.empty();
  json["device"] = told.engine.device();
  json["dtype"] = told.engine.dtype();
  json["model"] = told.engine.model_name();
  if (told.failure) json["error"] = json_from(*told.failure);
  return json;
}

// ---- text ------------------------------------------------------------------------------------------------------------------

std::string digits(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", number);
  return text;
}

std::string size_of(const Request& request) { return std::to_string(request.width) + 'x' + std::to_string(request.height); }

std::string summary(const Request& request) {
  std::string text = size_of(request) + ", " + std::to_string(*request.steps) + (*request.steps == 1 ? " step" : " steps") +
                     (request.guidance > 1 ? ", guidance " + digits(*request.guidance) : ", without guidance");
  if (request.count > 1) text += ", " + std::to_string(request.count) + " pictures";
  if (request.batch > 1) text += ", " + std::to_string(request.batch) + " at once";
  return text;
}

// A name to the left, a value that ends at one column, and what is to be said of it.
std::string row(std::string_view name, std::string_view value, std::string_view remark) {
  constexpr size_t kName = 15, kValue = 10;
  std::string line = "  " + std::string(name);
  line.resize(std::max(kName, line.size() + 1), ' ');
  line += std::string(kValue - std::min(kValue, value.size()), ' ') + std::string(value);
  if (remark.empty()) return line + '\n';
  line += "   ";
  return wrapped(line + std::string(remark), terminal::width(terminal::Stream::output), static_cast<int>(line.size())) + '\n';
}

std::string shown_name(std::string_view component) {
  for (const ComponentType& type : component_types())
    if (type.name == component) return std::string(type.short_name);
  return std::string(component);
}

// Where the weights are while the request is drawn.
std::string place_of(const ComponentPlan& component, bool on_card) {
  const std::string here = on_card ? "on the card" : "in memory";
  if (component.resident_parts == component.parts) return "stays " + here;
  const int64_t streamed = component.weights - component.resident;
  const std::string from = component.in_host_memory == 0         ? "the file"
                           : component.in_host_memory < streamed ? "the computer's memory and the file"
                                                                 : "the computer's memory";
  const std::string how = on_card && component.in_host_memory > 0 ? "copied from " : "read from ";
  if (component.resident_parts == 0) return how + from + " piece by piece";
  return std::to_string(component.resident_parts) + " of " + std::to_string(component.parts) + " parts stay " + here +
         ", the others are " + how + from;
}

std::string memory_row(std::string_view name, int64_t process, int64_t planned, int64_t budget, std::string_view others) {
  std::string remark = "of " + text_of_bytes(budget) + ": pictures and weights " + text_of_bytes(planned);
  if (process > planned) remark += ", " + std::string(others) + ' ' + text_of_bytes(process - planned);
  return row(name, text_of_bytes(process), remark);
}

std::string decoding(const Plan& plan) {
  std::string text;
  if (plan.decode_tiles > 1)
    text = "in " + std::to_string(plan.decode_tiles) + " blended tiles" + (plan.decode_strips > 1 ? ", each " : "");
  if (plan.decode_strips > 1) text += "in " + std::to_string(plan.decode_strips) + " strips, without seams";
  if (plan.decode_through_host) text += (text.empty() ? "" : ", ") + std::string("through the computer's memory");
  return text;
}

std::string text_of_time(const Plan& plan) {
  const Seconds& seconds = plan.predicted;
  if (seconds.total <= 0) return row("", "not known", "");
  const double steps = static_cast<double>(*plan.request.steps * plan.request.count);
  return row("load", text_of_seconds(seconds.load), "") + row("encode", text_of_seconds(seconds.encode), "") +
         row("denoise", text_of_seconds(seconds.denoise),
             plan.request.draft ? "" : text_of_seconds(seconds.denoise / steps) + " a step") +
         row("decode", text_of_seconds(seconds.decode), decoding(plan)) + row("in all", text_of_seconds(seconds.total), "");
}

std::string text_of(const Told& told) {
  const Plan& plan = told.plan;
  const int width = terminal::width(terminal::Stream::output);
  std::string text =
      summary(plan.request) + (plan.fits ? ": fits" : ": does not fit") + '\n' +
      wrapped(told.engine.model_name() + " on " + told.engine.device() + " in " + told.engine.dtype(), width, 0) + '\n';
  if (!told.card.empty())
    text += wrapped(
                "Projected: this card is not here. Its time is what its maker publishes times what fude reached of that on "
                "another card.",
                width, 0) +
            '\n';

  text += "\nMemory\n";
  if (told.on_card())
    text += memory_row("card", plan.process.device, plan.planned.device, plan.budget.device, "driver and libraries");
  text += memory_row("computer", plan.process.host, plan.planned.host, plan.budget.host, "the program itself");

  text += "\nWeights\n";
  for (const ComponentPlan& component : plan.components)
    text += row(shown_name(component.name), text_of_bytes(component.weights),
                (component.dtype == told.engine.dtype() ? "" : component.dtype + ", ") + place_of(component, told.on_card()));
  if (plan.streamed_per_step > 0)
    text += row("at each step", text_of_bytes(plan.streamed_per_step), told.on_card() ? "travel to the card" : "are read");

  text += "\nTime\n" + text_of_time(plan);
  if (!plan.advice.empty()) text += "\nAdvice\n";
  for (const Message& advice : plan.advice) text += wrapped("  " + worded(advice), width, 2) + '\n';
  return text;
}

// ---- the command -----------------------------------------------------------------------------------------------------------

// What is wrong, where, what to do: the plan says it all.
std::optional<Error> failure_of(const Plan& plan) {
  if (plan.fits) return {};
  Message message = plan.advice.front();
  message.what = summary(plan.request) + " does not fit: " + message.what;
  return Error(Code::out_of_memory, std::move(message));
}

std::string choices_of_card() {
  std::string names;
  for (const std::string& name : card_names()) names += (names.empty() ? "" : ", ") + name;
  return names;
}

}  // namespace

int plan_command(const Arguments& arguments) {
  PictureJob job;
  Options options(
      "plan", "[PROMPT] [options of fude generate]",
      "Tells what a request will need: memory, where weights will lie, seconds. Loads and draws nothing. Exit code 0 when it "
      "fits the memory, 3 when not.",
      "  fude plan -W 1024 -H 1024 --steps 40\n"
      "  fude plan --vram 4G\n"
      "  fude plan --card rtx4060 --vram 1536M\n");
  add_picture_options(options, job);
  options.add_text("Machine", "--card", "NAME", "a card that is not here: " + choices_of_card(), job.engine.card);
  if (!options.parse(arguments)) return 0;
  const Console console(options.given("--quiet").has_value(), options.given("--no-color").has_value());
  if (const std::optional<std::string> picture = options.given("--from")) take_from_picture(*picture, options, job, console);
  options.apply();
  if (!job.engine.card.empty() && options.given("--device"))
    throw Error(Code::bad_request, "--card and --device name two places to draw on. Leave one of them out.");
  check_settings(job.request);
  job.files.model = model_or_default(job.files.model);
  job.files.hub_cache = hub_cache_folder();

  Engine engine(job.files, job.engine);
  const Plan plan = engine.plan(job.request);
  const Told told{plan, engine, job.engine.card, failure_of(plan)};
  print(job.output.json ? json_from(told).dump(2, ' ', false, Json::error_handler_t::replace) + '\n' : text_of(told));
  if (told.failure) throw ToldError(*told.failure);
  return 0;
}

}  // namespace fude
