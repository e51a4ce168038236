// fude history verify: is a picture drawn again the same picture?
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "console.h"
#include "engine/json_text.h"
#include "engine/metadata.h"
#include "engine/size_text.h"
#include "fude/error.h"
#include "history.h"
#include "reporting.h"
#include "studio/callbacks.h"
#include "studio/verification.h"
#include "terminal.h"
#include "weights/quote.h"
#include "wording.h"

namespace fude {
namespace {

constexpr int kDiffers = 1;

Image drawn_again(const HistoryEntry& entry, Engine& engine, const Console& console) {
  RequestReporter reporter(console);
  const Callbacks callbacks = callbacks_for(reporter, &terminal::stop_requested(), nullptr);
  Result result = engine.generate(entry.provenance.request, callbacks);
  reporter.finish();
  return std::move(result.images.front());
}

std::string text_of(const Comparison& comparison) {
  if (comparison.bit_equal) return "bit-equal";
  if (!comparison.psnr)
    return "the file is " + text_of_size(comparison.before) + " pixels, drawn again it is " + text_of_size(comparison.now);
  char number[32];
  std::snprintf(number, sizeof number, "%.2f dB", *comparison.psnr);
  return "PSNR " + std::string(number);
}

std::string text_of(const HistoryEntry& entry, const Comparison& comparison, const std::vector<Change>& changes) {
  std::string text = "entry " + std::to_string(entry.id) + ": " + text_of(comparison);
  for (const auto& [what, then, now] : changes) text += "\n  " + what + ": then " + then + ", now " + now;
  if (!comparison.bit_equal && entry.provenance.rules < kRules) {
    text +=
        "\n  The picture was drawn by older rules, which made other token ids of some prompts. docs/rules.md says of which.";
  }
  return text + '\n';
}

}  // namespace

int history_verify_command(const Arguments& arguments) {
  std::string id;
  ModelFiles files;
  EngineOptions machine;
  OutputOptions output;
  Options options(
      "history verify", "ID [options]",
      "Draws the request of an entry again, on the device and in the type and batch it was drawn with, and compares "
      "the pixels with its file: bit-equal (exit code 0), or the PSNR of the two (1). Says what was different.");
  add_entry_option(options, id);
  add_model_options(options, files);
  add_machine_options(options, machine);
  add_output_options(options, output);
  if (!options.parse(arguments)) return 0;
  terminal::stop_requested();
  const HistoryEntry entry = entry_named(options.given("--id").value_or(""));
  take_engine(entry, options, files, machine);
  machine.device = entry.provenance.device;
  options.apply();
  const Console console(output.quiet, output.no_color);

  if (is_missing(entry)) {
    throw Error(Code::io, "there is nothing to compare with: " + shown(entry.path) +
                              " was moved or deleted. To draw it again: fude history run " + std::to_string(entry.id));
  }
  const Image before = stored_image(entry);
  files.hub_cache = hub_cache_folder();
  Engine engine(files, machine);
  const Comparison comparison = comparison_of(before, drawn_again(entry, engine, console));
  const std::vector<Change> changes = changes_since(entry, engine, machine, libraries());
  print(output.json ? json_document(json_from(entry, comparison, changes)) : text_of(entry, comparison, changes));
  return comparison.bit_equal ? 0 : kDiffers;
}

}  // namespace fude
