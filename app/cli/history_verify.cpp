// fude history verify: is a picture drawn again the same picture?
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "console.h"
#include "engine/file.h"
#include "engine/metadata.h"
#include "engine/png.h"
#include "fude/error.h"
#include "history.h"
#include "progress.h"
#include "saving.h"
#include "terminal.h"
#include "weights/quote.h"
#include "wording.h"

namespace fude {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kDiffers = 1;

struct Difference {
  std::string what, then, now;
};

// "oneDNN 2.6.3, libpng 1.6.39" by name.
std::map<std::string, std::string> versions_in(std::string libraries) {
  std::map<std::string, std::string> versions;
  for (libraries += ", "; !libraries.empty();) {
    const size_t end = libraries.find(", ");
    const std::string library = libraries.substr(0, end);
    const size_t space = library.rfind(' ');
    if (space != std::string::npos) versions[library.substr(0, space)] = library.substr(space + 1);
    libraries.erase(0, end + 2);
  }
  return versions;
}

std::vector<Difference> differences_of(const HistoryEntry& entry, const Engine& engine, const EngineOptions& options) {
  std::vector<Difference> differences;
  const auto compare = [&](const std::string& what, const std::string& then, const std::string& now) {
    if (then != now) differences.push_back({what, then.empty() ? "none" : then, now.empty() ? "none" : now});
  };
  const auto threads = [](int asked) { return asked > 0 ? std::to_string(asked) : std::string("all"); };
  compare("rules", text_of_rules(entry.provenance.rules), text_of_rules(kRules));
  compare("model hash", entry.provenance.model_hash, engine.model_hash());
  compare("device", entry.provenance.device, engine.device());
  compare("dtype", entry.provenance.dtype, engine.dtype());
  compare("threads", threads(entry.threads), threads(options.threads));
  compare("fude", entry.stats.version, version());
  std::map<std::string, std::string> then = versions_in(entry.stats.libraries);
  std::map<std::string, std::string> now = versions_in(libraries());
  std::set<std::string> names;
  for (const auto* versions : {&then, &now}) {
    for (const auto& [name, ignored] : *versions) names.insert(name);
  }
  for (const std::string& name : names) compare(name, then[name], now[name]);
  return differences;
}

Image stored_image(const HistoryEntry& entry) {
  if (is_missing(entry)) {
    throw Error(Code::io, "there is nothing to compare with: " + shown(entry.path) +
                              " was moved or deleted. To draw it again: fude history run " + std::to_string(entry.id));
  }
  try {
    return decode_png(read_file(entry.path, kLargestPicture));
  } catch (const Error& error) {
    throw Error(Code::io, "there is nothing to compare with in " + shown(entry.path) + ": " + worded(error.message()));
  }
}

// Peak signal-to-noise ratio in dB; of pictures that are not equal.
double psnr_of(const Image& a, const Image& b) {
  double sum = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) {
    const double difference = int{a.rgb[i]} - int{b.rgb[i]};
    sum += difference * difference;
  }
  return 10 * std::log10(255.0 * 255.0 * static_cast<double>(a.rgb.size()) / sum);
}

std::string text_of_size(const Image& image) { return std::to_string(image.width) + 'x' + std::to_string(image.height); }

Image drawn_again(const HistoryEntry& entry, Engine& engine, const Console& console) {
  ProgressBar bar(console);
  Callbacks callbacks;
  callbacks.stop = &terminal::stop_requested();
  callbacks.progress = [&](const Progress& progress) { bar.update(progress); };
  callbacks.warning = [&](const Message& warning) {
    bar.clear();
    console.warning(worded(warning));
  };
  Result result = engine.generate(entry.provenance.request, callbacks);
  bar.finish();
  return std::move(result.images.front());
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

  const Image before = stored_image(entry);
  files.hub_cache = hub_cache_folder();
  Engine engine(files, machine);
  const Image now = drawn_again(entry, engine, console);
  const std::vector<Difference> differences = differences_of(entry, engine, machine);

  const bool same_size = before.width == now.width && before.height == now.height;
  const bool equal = same_size && before.rgb == now.rgb;
  const bool has_psnr = same_size && !equal;
  const double psnr = has_psnr ? psnr_of(before, now) : 0;
  if (output.json) {
    Json list = Json::array();
    for (const auto& [what, then, today] : differences) list.push_back({{"what", what}, {"then", then}, {"now", today}});
    const Json document = {{"id", entry.id},
                           {"path", text_of(entry.path)},
                           {"bit_equal", equal},
                           {"psnr", has_psnr ? Json(psnr) : Json()},
                           {"differences", list}};
    print(document.dump(2, ' ', false, Json::error_handler_t::replace) + '\n');
  } else {
    char number[32];
    std::snprintf(number, sizeof number, "%.2f dB", psnr);
    std::string text = "entry " + std::to_string(entry.id) + ": ";
    text += equal      ? "bit-equal"
            : has_psnr ? "PSNR " + std::string(number)
                       : "the file is " + text_of_size(before) + " pixels, drawn again it is " + text_of_size(now);
    for (const auto& [what, then, today] : differences) text += "\n  " + what + ": then " + then + ", now " + today;
    if (!equal && entry.provenance.rules < kRules) {
      text +=
          "\n  The picture was drawn by older rules, which made other token ids of some prompts. docs/rules.md says of which.";
    }
    print(text + '\n');
  }
  return equal ? 0 : kDiffers;
}

}  // namespace fude
