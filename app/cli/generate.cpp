// fude generate: pictures from a prompt.
#include <chrono>
#include <cstring>
#include <exception>
#include <nlohmann/json.hpp>
#include <random>

#include "commands.h"
#include "console.h"
#include "core/dtype.h"
#include "engine/file.h"
#include "engine/metadata.h"
#include "engine/request.h"
#include "fude/error.h"
#include "fude/fude.h"
#include "history.h"
#include "options.h"
#include "output.h"
#include "picture_options.h"
#include "progress.h"
#include "saving.h"
#include "terminal.h"
#include "weights/safetensors.h"
#include "weights/text.h"

namespace fude {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;


double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// Everything the command line asks for.
struct Job {
  Request request;
  bool random_seed = true;
  ModelFiles files;
  EngineOptions engine;
  std::string out = "outputs";
  std::string from;
  std::string source;  // what is drawn again, as messages name it
  Provenance drawn;    // of that
  std::string trace;
  OutputOptions output;
};

void declare(Options& options, Job& job) {
  Request& request = job.request;
  const char* picture = "Picture";
  options.add(picture, "prompt,--prompt,-p", "TEXT",
              "what to draw; also without --prompt. @FILE reads a file, - reads standard input",
              [&](const std::string& text) { request.prompt = prompt_from(text); });
  options.add(picture, "--negative,-n,--negative-prompt", "TEXT", "what to avoid; @FILE reads a file",
              [&](const std::string& text) { request.negative = prompt_from(text); });
  add_size_options(options, picture, "the model's own size", request.width, request.height);
  options.add(picture, "--seed", "N", "0 to 18446744073709551615 or random (the default); picture i of several uses seed + i",
              [&](const std::string& text) {
                job.random_seed = text == "random";
                if (!job.random_seed) request.seed = unsigned_from("--seed", text);
              });
  options.add_integer(picture, "--count,--num-images-per-prompt", "pictures, default 1", request.count);
  options.add(picture, "--batch", "N",
              "pictures drawn at once, default 1; 0: as many as is faster and fits. A picture's last bits depend on it",
              [&](const std::string& text) {
                request.batch = integer_from("--batch", text);
                request.place = 0;
              });
  options.add_text(picture, "--from", "FILE.png", "take the request stored in a picture; other options override it", job.from);

  add_sampling_options(options, request);

  add_model_options(options, job.files);

  add_machine_options(options, job.engine);
  add_cache_option(options, job.engine);

  const char* result = "Result";
  options.add_text(result, "--out", "FOLDER", "pictures are FOLDER/YYYY-MM-DD/NNNNN-SEED.png, default outputs", job.out);
  options.add_text(result, "--trace", "FILE", "write every stage of picture 0 as tensors to a .safetensors file", job.trace);
  add_output_options(options, job.output);
}

// Begins with a request that was drawn before; options change it.
void draw_again(const Provenance& provenance, std::string source, Job& job) {
  job.request = provenance.request;
  job.random_seed = false;
  job.files.no_t5 = provenance.no_t5;
  if (!provenance.dtype.empty()) job.engine.dtype = provenance.dtype;
  job.drawn = provenance;
  job.source = std::move(source);
}

// The request stored in a picture, by fude exactly or by another program as A1111 writes it.
void take_from_picture(const std::string& picture, Job& job, const Console& console) {
  const StoredPicture stored = read_picture(path_of(picture));
  if (!stored.exact) console.warning(shown(picture) + " was not drawn by fude, so only what its text tells is taken from it.");
  draw_again(stored.provenance, shown(picture), job);
}

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

Json json_from(const Bytes& bytes) { return {{"host", bytes.host}, {"device", bytes.device}}; }

Json report(const Result& result, const Json& images, const std::vector<double>& step_seconds, double save_seconds, double total_seconds, const std::string& model) {
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
      {"step_seconds", step_seconds},
      {"peak_bytes", {{"host", terminal::peak_memory()}, {"device", result.used.device}}},
      {"planned_bytes", json_from(result.planned)},
      {"device", result.device},
      {"dtype", result.dtype},
      {"model", model},
      {"request", json_from(result.request)},
  };
}

void draw(Job& job, const Console& console) {
  const Clock::time_point begin = Clock::now();
  if (job.random_seed) job.request.seed = std::random_device{}();
  if (job.request.count > 1) job.request.place = 0;  // of a picture that was drawn in a batch
  check_request(job.request);
  job.files.model = model_or_default(job.files.model);
  job.files.hub_cache = hub_cache_folder();
  PictureFolder folder(job.out);
  if (!job.trace.empty()) check_writable(path_of(job.trace).parent_path());

  Engine engine(job.files, job.engine);
  const Request request = engine.complete(job.request);
  PictureSaver saver(engine, job.files, job.engine, console, "generate");
  if (job.random_seed) console.note("seed " + std::to_string(request.seed));
  if (!job.drawn.model_hash.empty() && job.drawn.model_hash != engine.model_hash()) {
    console.warning(job.source + " was drawn with the model " + shown(job.drawn.model) + ", this is " +
                    shown(engine.model_name()) + ": the picture will differ. Name the model with --model.");
  }

  ProgressBar bar(console);
  Trace trace;
  Json images = Json::array();
  std::vector<std::string> paths;
  double save_seconds = 0;
  std::vector<double> step_seconds;  // of picture 0

  Callbacks callbacks;
  callbacks.stop = &terminal::stop_requested();
  callbacks.progress = [&](const Progress& progress) { bar.update(progress); };
  callbacks.warning = [&](const std::string& warning) {
    bar.clear();
    console.warning(warning);
  };
  if (!job.trace.empty()) callbacks.trace = [&](const TraceTensor& tensor) { trace.add(tensor); };

  callbacks.finished = [&](const Image& image) {
    const Clock::time_point save_begin = Clock::now();
    if (paths.empty()) step_seconds = image.step_seconds;
    bar.clear();
    const SavedPicture saved = saver.save(image, request, folder, static_cast<int64_t>(paths.size()));
    images.push_back(json_from(saved));
    paths.push_back(text_of(saved.path));
    save_seconds += seconds_since(save_begin);
    if (!job.output.json) print(paths.back() + '\n');
  };

  try {
    const Result result = engine.generate(request, callbacks);
    bar.finish();
    if (!job.trace.empty()) trace.write(job.trace);
    const double total = seconds_since(begin);
    if (job.output.json) {
      print(
          report(result, images, step_seconds, save_seconds, total, engine.model_name()).dump(2, ' ', false, Json::error_handler_t::replace) +
          '\n');
    } else {
      const Seconds& seconds = result.seconds;
      console.note((images.size() == 1 ? "1 picture" : std::to_string(images.size()) + " pictures") + " in " +
                   text_of_seconds(total) + " (load " + text_of_seconds(seconds.load) + ", encode " +
                   text_of_seconds(seconds.encode) + ", denoise " + text_of_seconds(seconds.denoise) + ", decode " +
                   text_of_seconds(seconds.decode) + ") on " + result.device + " in " + result.dtype);
    }
  } catch (const Error& error) {
    bar.clear();
    if (error.code() != Code::cancelled) throw;
    std::string kept = paths.empty() ? "no picture was finished" : "finished and kept:";
    for (const std::string& path : paths) kept += ' ' + path;
    throw Error(Code::cancelled, "stopped; " + kept + ".");
  }
}

}  // namespace

int generate_command(const Arguments& arguments) {
  Job job;
  Options options("generate", "PROMPT [options]", "Draws one or more pictures from a prompt and prints their paths.",
                  "  fude generate \"a capybara in a hot spring, woodblock print\"\n"
                  "  fude generate -p @prompt.txt --seed 42 --count 4 --steps 40\n"
                  "  fude generate --from outputs/2026-11-22/00001-42.png --guidance 4.5\n");
  declare(options, job);
  if (!options.parse(arguments)) return 0;
  terminal::stop_requested();  // from here on Ctrl-C ends the work in good order
  const Console console(options.given("--quiet").has_value(), options.given("--no-color").has_value());
  if (const std::optional<std::string> picture = options.given("--from")) take_from_picture(*picture, job, console);
  options.apply();
  if (!options.given("--prompt") && !options.given("--from")) {
    throw Error(Code::bad_request, "there is no prompt. Write what to draw: fude generate \"a red bicycle\"");
  }
  draw(job, console);
  return 0;
}

int history_run_command(const Arguments& arguments) {
  Job job;
  std::string id;
  Options options("history run", "ID [options]",
                  "Draws the request of an entry again, with the same model, and prints the new picture's path. Options change "
                  "the request.",
                  "  fude history run 41\n"
                  "  fude history run 41 --steps 50 --seed random\n");
  add_entry_option(options, id);
  declare(options, job);
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
