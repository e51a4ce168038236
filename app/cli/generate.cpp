// fude generate: pictures from a prompt.
#include <chrono>
#include <cstring>
#include <exception>
#include <nlohmann/json.hpp>
#include <random>

#include "commands.h"
#include "console.h"
#include "core/dtype.h"
#include "core/system.h"
#include "engine/file.h"
#include "engine/json_text.h"
#include "engine/metadata.h"
#include "engine/request.h"
#include "from_picture.h"
#include "fude/error.h"
#include "fude/fude.h"
#include "history.h"
#include "options.h"
#include "output.h"
#include "picture_job.h"
#include "reporting.h"
#include "skip_teardown.h"
#include "studio/callbacks.h"
#include "studio/completed.h"
#include "studio/saving.h"
#include "terminal.h"
#include "weights/quote.h"
#include "weights/safetensors.h"
#include "wording.h"

namespace fude {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// Keeps the tensors of the trace until they can be written.
class Trace {
 public:
  void add(const TraceTensor& tensor) {
    for (const DType dtype : {DType::f32, DType::i32, DType::u8}) {
      if (name_of(dtype) != tensor.dtype) continue;
      int64_t size = size_of(dtype);
      for (const int64_t extent : tensor.shape) size *= extent;
      const auto* data = static_cast<const std::byte*>(tensor.data);
      kept_.push_back({std::string(tensor.name), dtype, tensor.shape, {data, data + size}});
      return;
    }
    throw Error(Code::bad_request,
                "the trace cannot hold " + std::string(tensor.name) + " as " + std::string(tensor.dtype) + ".");
  }

  void write(const std::string& path) const {
    std::vector<StoredTensor> tensors;
    for (const Kept& kept : kept_) tensors.push_back(stored_tensor(kept.name, kept.dtype, kept.shape, kept.bytes));
    write_safetensors(path_of(path), std::move(tensors));
  }

 private:
  struct Kept {
    std::string name;
    DType dtype;
    std::vector<int64_t> shape;
    std::vector<std::byte> bytes;
  };
  std::vector<Kept> kept_;
};

Json report(const Result& result, const Json& images, const std::vector<double>& step_seconds, double save_seconds,
            double total_seconds, const Engine& engine) {
  const Seconds& seconds = result.seconds;
  return {
      {"images", images},
      {"seconds",
       {{"load", seconds.load},
        {"encode", seconds.encode},
        {"denoise", seconds.denoise},
        {"decode", seconds.decode},
        {"save", save_seconds},
        {"total", total_seconds}}},
      {"predicted_seconds", json_from(result.plan.predicted)},
      {"step_seconds", step_seconds},
      {"peak_bytes", {{"host", peak_memory()}, {"device", result.used.device}}},
      {"planned_bytes", json_from(result.planned)},
      {"streamed_bytes_per_step", result.plan.streamed_per_step},
      {"device", result.device},
      {"dtype", result.dtype},
      {"model", engine.model_name()},
      {"t5", engine.has_t5()},
      {"request", json_from(result.request)},
  };
}

void draw(PictureJob& job, const Console& console) {
  const Clock::time_point begin = Clock::now();
  if (job.random_seed) job.request.seed = std::random_device{}();
  if (job.request.count > 1) job.request.place = 0;  // of a picture that was drawn in a batch
  check_settings(job.request);
  job.files.model = model_or_default(job.files.model);
  job.files.hub_cache = hub_cache_folder();
  const PicturePlace place = picture_place(job.place, job.request.count);
  if (!job.trace.empty()) check_writable_file(path_of(job.trace));
  RequestReporter reporter(console);
  Bookkeeping books(reporter, history_place(), job.engine);

  auto made = std::make_unique<Engine>(job.files, job.engine);
  const SkipTeardown left(&made);
  Engine& engine = *made;
  const Request request = completed(engine, job.request);
  PictureSaver saver(job.files, job.engine, books, {"generate", libraries(), {}});
  if (job.random_seed) console.note("seed " + std::to_string(request.seed));
  warn_of_another_model(job.source, job.drawn, engine, reporter);

  Trace trace;
  Json images = Json::array();
  FinishedPaths paths(!job.output.json);
  double save_seconds = 0;
  std::vector<double> step_seconds;  // of picture 0

  Callbacks callbacks = callbacks_for(reporter, &terminal::stop_requested(), &books);
  callbacks.planned = [&](const Plan& plan) {
    for (const Message& advice : plan.advice)
      if (!job.output.json) console.note(worded(advice));
  };
  if (!job.trace.empty()) callbacks.trace = [&](const TraceTensor& tensor) { trace.add(tensor); };

  callbacks.finished = [&](const Image& image) {
    const Clock::time_point save_begin = Clock::now();
    if (paths.empty()) step_seconds = image.step_seconds;
    reporter.clear();
    const SavedPicture saved = saver.save(saver.encode(image), place);
    images.push_back(json_from(saved));
    save_seconds += seconds_since(save_begin);
    paths.add(saved.path);
  };

  try {
    const Result result = engine.generate(request, callbacks);
    reporter.finish();
    if (!job.trace.empty()) trace.write(job.trace);
    const double total = seconds_since(begin);
    if (job.output.json) {
      print(json_document(report(result, images, step_seconds, save_seconds, total, engine)));
    } else {
      console.note((images.size() == 1 ? "1 picture" : std::to_string(images.size()) + " pictures") + " in " +
                   text_of_seconds(total) + " (" + text_of_stages(result.seconds) + ") on " + result.device + " in " +
                   result.dtype);
    }
  } catch (const Error& error) {
    reporter.clear();
    if (error.code() != Code::cancelled) throw;
    throw Error(Code::cancelled, "stopped; " + paths.kept() + ".");
  }
  paths.check();
}

}  // namespace

int generate_command(const Arguments& arguments) {
  PictureJob job;
  Options options("generate", "PROMPT [options]", "Draws one or more pictures from a prompt and prints their paths.",
                  "  fude generate \"a capybara in a hot spring, woodblock print\"\n"
                  "  fude generate -p @prompt.txt --seed 42 --count 4 --steps 40\n"
                  "  fude generate --from outputs/2026-11-22/00001-42.png --guidance 4.5\n");
  add_picture_options(options, job);
  if (!options.parse(arguments)) return 0;
  terminal::stop_requested();  // from here on Ctrl-C ends the work in good order
  const Console console(options.given("--quiet").has_value(), options.given("--no-color").has_value());
  if (const std::optional<std::string> picture = options.given("--from")) take_from_picture(*picture, options, job, console);
  options.apply();
  if (!options.given("--prompt") && !options.given("--from")) {
    throw Error(Code::bad_request, "there is no prompt. Write what to draw: fude generate \"a red bicycle\"");
  }
  draw(job, console);
  return 0;
}

int history_run_command(const Arguments& arguments) {
  PictureJob job;
  std::string id;
  Options options("history run", "ID [options]",
                  "Draws the request of an entry again, with the same model, and prints the new picture's path. Options change "
                  "the request.",
                  "  fude history run 41\n"
                  "  fude history run 41 --steps 50 --seed random\n");
  add_entry_option(options, id);
  add_picture_options(options, job);
  if (!options.parse(arguments)) return 0;
  terminal::stop_requested();
  const Console console(options.given("--quiet").has_value(), options.given("--no-color").has_value());
  const HistoryEntry entry = entry_named(options.given("--id").value_or(""));
  take_engine(entry, options, job.files, job.engine);
  draw_again(entry.provenance, "entry " + std::to_string(entry.id), job);
  options.apply();
  draw(job, console);
  return 0;
}

}  // namespace fude
