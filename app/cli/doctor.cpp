// fude doctor: what was found on this machine, and what is missing.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "commands.h"
#include "console.h"
#include "core/system.h"
#include "engine/file.h"
#include "engine/json_text.h"
#include "fude/error.h"
#include "fude/fude.h"
#include "options.h"
#include "terminal.h"
#include "weights/locate.h"
#include "weights/paths.h"
#include "weights/quote.h"

namespace fs = std::filesystem;

namespace fude {
namespace {

using Json = nlohmann::ordered_json;

struct CachedModel {
  std::string id;      // stabilityai/stable-diffusion-3.5-medium
  bool whole = false;  // a snapshot with a model index, or with a single file, is there
};

bool holds_model(const fs::path& snapshot) {
  try {
    return is_there(snapshot / "model_index.json") || find_single_file(snapshot);
  } catch (const Error&) {  // several single files, or a folder that may not be read: --model says which
    return false;
  }
}

// The Stable Diffusion 3 models in the Hugging Face cache: folders models--OWNER--NAME.
std::vector<CachedModel> cached_models(const std::string& hub) {
  std::vector<CachedModel> models;
  for (const fs::path& folder : entries_of(path_of(hub))) {
    std::string name = text_of(folder.filename());
    constexpr std::string_view kPrefix = "models--";
    if (!name.starts_with(kPrefix) || name.find("stable-diffusion-3") == std::string::npos) continue;
    name.erase(0, kPrefix.size());
    if (const size_t dashes = name.find("--"); dashes != std::string::npos) name.replace(dashes, 2, "/");
    CachedModel model{name};
    for (const fs::path& snapshot : entries_of(folder / "snapshots")) model.whole = model.whole || holds_model(snapshot);
    models.push_back(model);
  }
  std::sort(models.begin(), models.end(), [](const CachedModel& a, const CachedModel& b) { return a.id < b.id; });
  return models;
}

Json json_of(const std::vector<DeviceInfo>& found, const std::vector<CachedModel>& models) {
  Json devices = Json::array();
  for (const DeviceInfo& device : found) {
    devices.push_back({{"name", device.name},
                       {"description", device.description},
                       {"library", device.library},
                       {"memory_bytes", device.memory},
                       {"free_bytes", device.free},
                       {"fast_dtypes", device.fast_dtypes}});
  }
  Json cached = Json::array();
  for (const CachedModel& model : models) cached.push_back({{"id", model.id}, {"whole", model.whole}});
  return {{"version", version()},
          {"libraries", libraries()},
          {"devices", devices},
          {"cuda_driver", cuda_driver()},
          {"no_cuda", why_no_cuda()},
          {"models",
           {{"FUDE_MODEL", terminal::environment("FUDE_MODEL")},
            {"demo", demo_model()},
            {"hub_cache", hub_cache_folder()},
            {"cached", cached}}}};
}

std::string row(const std::string& name, const std::string& value) {
  constexpr int kNameColumn = 14;
  std::string line = "  " + name + ' ';
  line.resize(std::max<size_t>(kNameColumn, line.size()), ' ');
  return wrapped(line + value, terminal::width(terminal::Stream::output), kNameColumn) + '\n';
}

std::string text_of_found(const std::vector<DeviceInfo>& found, const std::vector<CachedModel>& models) {
  std::string text = "fude " + version() + '\n' + row("libraries", libraries()) + "\nDevices\n";
  for (const DeviceInfo& device : found) {
    text += row(device.name, device.description);
    text += row("", text_of_bytes(device.memory) + " of memory, " + text_of_bytes(device.free) + " free; fast in " +
                        device.fast_dtypes);
  }
  if (const std::string driver = cuda_driver(); !driver.empty()) text += row("driver", "of NVIDIA cards: " + driver);
  if (const std::string why = why_no_cuda(); !why.empty()) text += row("no card", why);
  const std::string named = terminal::environment("FUDE_MODEL");
  const std::string demo = demo_model();
  text += "\nModels\n";
  text += row("FUDE_MODEL", named.empty() ? "not set" : named);
  text += row("demo", demo.empty() ? "not in this build" : demo);
  text += row("hub cache", hub_cache_folder());
  for (const CachedModel& model : models)
    text += row("", model.id + (model.whole ? "" : " (no snapshot with model_index.json or a single file)"));
  if (models.empty()) text += row("", "no Stable Diffusion 3 model in it");
  const bool usable = std::any_of(models.begin(), models.end(), [](const CachedModel& model) { return model.whole; });
  if (named.empty() && demo.empty()) {
    text += usable ? "\nName a model with --model, such as --model " + models.front().id + ".\n"
                   : "\nNo model was found. Download one once its licence is accepted, at\n"
                     "https://huggingface.co/stabilityai/stable-diffusion-3.5-medium, and name its folder with --model.\n";
  }
  return text;
}

// What somebody else needs who looks for the cause of a problem: nothing of pictures and prompts.
Json report_of(const Json& found) {
  Json report = found;
  report["processor"] = processor_name();
  report["cores"] = usable_cores();
  const HostMemory memory = host_memory();
  report["memory_bytes"] = memory.total;
  report["free_memory_bytes"] = memory.available;
  report["program"] = text_of(terminal::program_folder());
  for (const auto& [name, value] : terminal::facts()) report["system"][name] = value;
  return report;
}

}  // namespace

int doctor_command(const Arguments& arguments) {
  OutputOptions output;
  std::string report;
  Options options("doctor", "[options]", "Shows what was found on this machine: devices, libraries, models, free memory.");
  options.add_text("Document", "--report", "FILE",
                   "also write all of it and the system's settings, as JSON, to send to somebody", report);
  add_output_options(options, output);
  if (!options.parse(arguments)) return 0;
  options.apply();
  const std::vector<DeviceInfo> found = devices();
  const std::vector<CachedModel> models = cached_models(hub_cache_folder());
  const Json document = json_of(found, models);
  if (!report.empty()) {
    const std::string text = json_document(report_of(document));
    write_file(path_of(report), {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  }
  print(output.json ? json_document(document) : text_of_found(found, models));
  return 0;
}

}  // namespace fude
