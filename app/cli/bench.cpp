// fude bench: how fast this machine is, and how much of that operations, a step and a whole request get out of it.
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "commands.h"
#include "console.h"
#include "engine/json_text.h"
#include "engine/metadata.h"
#include "engine/size_text.h"
#include "field_options.h"
#include "fude/error.h"
#include "fude/fude.h"
#include "options.h"
#include "picture_options.h"
#include "terminal.h"

namespace fude {
namespace {

using Json = nlohmann::ordered_json;

struct Job {
  ModelFiles files;
  EngineOptions engine;
  Request request{.steps = BenchOptions{}.steps};  // whose size and steps are timed
  OutputOptions output;
};

bool is_limited_by_memory(const Timing& timing) { return timing.bytes > 0; }
double rate_of(const Timing& timing) { return (is_limited_by_memory(timing) ? timing.bytes : timing.flops) / timing.seconds; }
double share_of_peak(const Timing& timing, const BenchPeaks& peaks) {
  return rate_of(timing) / (is_limited_by_memory(timing) ? peaks.bytes : peaks.flops);
}

// ---- JSON ------------------------------------------------------------------------------------------------------------------

Json json_from(const Timing& timing, const BenchPeaks& peaks) {
  const std::string unit = is_limited_by_memory(timing) ? "bytes" : "flops";
  return {{"name", timing.name},
          {"shape", timing.shape},
          {"seconds", timing.seconds},
          {unit, is_limited_by_memory(timing) ? timing.bytes : timing.flops},
          {unit + "_per_second", rate_of(timing)},
          {"share_of_peak", share_of_peak(timing, peaks)}};
}

Json json_from(const BenchReport& report) {
  const BenchPeaks& peaks = report.peaks;
  Json ops = Json::array();
  for (const Timing& timing : report.ops) ops.push_back(json_from(timing, peaks));
  Json document = {{"version", version()},
                   {"device",
                    {{"name", report.device.name},
                     {"description", report.device.description},
                     {"library", report.device.library},
                     {"memory_bytes", report.device.memory}}},
                   {"dtype", report.dtype},
                   {"width", report.width},
                   {"height", report.height},
                   {"peaks",
                    {{"flops_per_second", peaks.flops},
                     {"bytes_per_second", peaks.bytes},
                     {"upload_bytes_per_second", peaks.upload > 0 ? Json(peaks.upload) : Json()}}},
                   {"ops", ops},
                   {"model", nullptr},
                   {"forward", nullptr},
                   {"request", nullptr}};
  if (const std::optional<BenchRequest>& request = report.request) {
    document["model"] = request->model;
    document["forward"] = json_from(request->forward, peaks);
    document["request"] = {{"steps", request->steps},
                           {"guidance", request->guidance},
                           {"encode", json_from(request->encode, peaks)},
                           {"decode", json_from(request->decode, peaks)},
                           {"first_seconds", json_from(request->first)},
                           {"again_seconds", json_from(request->again)},
                           {"planned_bytes", json_from(request->planned)}};
  }
  return document;
}

// ---- text ------------------------------------------------------------------------------------------------------------------

// Three digits that count.
std::string digits(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", number >= 99.95 ? 0 : number >= 9.995 ? 1 : number >= 0.9995 ? 2 : 3, number);
  return text;
}

std::string text_of_rate(double rate, bool of_bytes) {
  return of_bytes ? digits(rate / 1e9) + " GB/s" : digits(rate / 1e12) + " TFLOP/s";
}

std::string row(std::string_view name, std::string_view shape, std::string_view time, std::string_view rate,
                std::string_view share) {
  char text[160];
  std::snprintf(text, sizeof text, "  %-20.*s %-22.*s %11.*s %13.*s %6.*s", static_cast<int>(name.size()), name.data(),
                static_cast<int>(shape.size()), shape.data(), static_cast<int>(time.size()), time.data(),
                static_cast<int>(rate.size()), rate.data(), static_cast<int>(share.size()), share.data());
  const std::string line = text;
  return line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
}

std::string row(const Timing& timing, const BenchPeaks& peaks) {
  char share[16];
  std::snprintf(share, sizeof share, "%.0f %%", 100 * share_of_peak(timing, peaks));
  return row(timing.name, timing.shape, digits(timing.seconds * 1e3) + " ms",
             text_of_rate(rate_of(timing), is_limited_by_memory(timing)), share);
}

std::string row(const std::string& name, const Seconds& seconds, const std::string& more) {
  std::string line = "  " + name;
  line.resize(9, ' ');
  return line + text_of_seconds(seconds.total) + more + "encode " + text_of_seconds(seconds.encode) + ", denoise " +
         text_of_seconds(seconds.denoise) + ", decode " + text_of_seconds(seconds.decode) + '\n';
}

std::string text_of(const BenchReport& report) {
  const BenchPeaks& peaks = report.peaks;
  const std::string size = text_of_size(report.width, report.height);
  std::string text = wrapped(report.device.name + ": " + report.device.description + ", computing in " + report.dtype,
                             terminal::width(terminal::Stream::output), 2) +
                     "\n\nPeaks, as measured\n";
  text += row("products", "", "", text_of_rate(peaks.flops, false), "");
  text += row("memory", "read and written", "", text_of_rate(peaks.bytes, true), "");
  if (peaks.upload > 0) text += row("upload", "to the device", "", text_of_rate(peaks.upload, true), "");

  text += "\nOperations of SD3.5-medium, " + size + ", with guidance\n";
  text += row("", "", "time", "rate", "peak");
  for (const Timing& timing : report.ops) text += row(timing, peaks);

  if (!report.request) return text;
  const BenchRequest& request = *report.request;
  text += "\nA request: " + request.model + ", " + size + ", " + std::to_string(request.steps) + " steps " +
          (request.guidance > 1 ? "with" : "without") + " guidance\n";
  for (const Timing* timing : {&request.encode, &request.forward, &request.decode}) text += row(*timing, peaks);
  text += row("first", request.first, ": load " + text_of_seconds(request.first.load) + ", ");
  text += row("again", request.again, ": ");
  const int64_t device = request.planned.device, host = request.planned.host;
  text += "  memory " + (device > 0 ? text_of_bytes(device) + " of the device's" : text_of_bytes(host)) +
          " for weights and activations\n";
  return text;
}

// ---- the command -----------------------------------------------------------------------------------------------------------

// One line that is written over; nothing where standard error is no terminal.
class ProgressLine {
 public:
  explicit ProgressLine(bool quiet) : shows_(!quiet && terminal::is_terminal(terminal::Stream::error)) {}
  ~ProgressLine() { write(""); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void update(const BenchProgress& now) const {
    const std::string line = std::to_string(now.done + 1) + '/' + std::to_string(now.of) + "  " + now.what;
    write(line.substr(0, static_cast<size_t>(terminal::width(terminal::Stream::error) - 1)));
  }

 private:
  void write(const std::string& line) const {
    if (shows_) std::fputs(("\r" + line + "\x1b[K").c_str(), stderr);
  }
  bool shows_;
};

BenchReport measure(const Job& job) {
  const ProgressLine line(job.output.quiet);
  BenchCallbacks callbacks;
  callbacks.stop = &terminal::stop_requested();
  callbacks.progress = [&](const BenchProgress& now) { line.update(now); };
  const Request& request = job.request;
  return bench(job.files, job.engine, {request.width, request.height, *request.steps}, callbacks);
}

}  // namespace

int bench_command(const Arguments& arguments) {
  Job job;
  Options options(
      "bench", "[options]",
      "Times this machine: operations at the shapes of Stable Diffusion 3.5 medium, then a step and a whole request of "
      "your model. Rates stand beside the best that was measured.",
      "  fude bench\n"
      "  fude bench --model stabilityai/stable-diffusion-3.5-medium -W 1024 -H 1024\n"
      "  fude bench --device cpu --dtype f32 --json\n");
  add_size_options(options, "What", "512, or the model's own where that is smaller", job.request);
  add_field_option(options, "What", Field::steps, job.request, std::to_string(*job.request.steps));
  add_model_options(options, job.files);
  add_machine_options(options, job.engine);
  add_output_options(options, job.output);
  if (!options.parse(arguments)) return 0;
  options.apply();
  const Console console(job.output.quiet, job.output.no_color);
  job.files.hub_cache = hub_cache_folder();
  const bool has_model = !job.files.model.empty() || !terminal::environment("FUDE_MODEL").empty() || !demo_model().empty();
  if (has_model) job.files.model = model_or_default(job.files.model);
  else console.note("no model was named and this build ships none: only operations are timed");

  const BenchReport report = measure(job);
  print(job.output.json ? json_document(json_from(report)) : text_of(report));
  return 0;
}

}  // namespace fude
