// Comparing pixels, and the versions and settings they were drawn with.
#include "studio/verification.h"

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/file.h"
#include "engine/metadata.h"
#include "engine/png.h"
#include "engine/stored_picture.h"
#include "fude/error.h"
#include "weights/paths.h"
#include "weights/quote.h"

namespace fude {
namespace {

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

// Peak signal-to-noise ratio in dB; of pictures that are not equal.
double psnr_of(const Image& a, const Image& b) {
  double sum = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) {
    const double difference = int{a.rgb[i]} - int{b.rgb[i]};
    sum += difference * difference;
  }
  return 10 * std::log10(255.0 * 255.0 * static_cast<double>(a.rgb.size()) / sum);
}

}  // namespace

bool is_missing(const HistoryEntry& entry) { return !is_file(entry.path); }

Image stored_image(const HistoryEntry& entry) {
  try {
    return decode_png(read_file(entry.path, kLargestPicture));
  } catch (const Error& error) {
    Message message = error.message();
    message.what = "there is nothing to compare with in " + shown(entry.path) + ": " + message.what;
    throw Error(Code::io, std::move(message));
  }
}

std::vector<Change> changes_since(const HistoryEntry& entry, const Engine& engine, const EngineOptions& options,
                                  const std::string& libraries) {
  std::vector<Change> changes;
  const auto compare = [&](const std::string& what, const std::string& then, const std::string& now) {
    if (then != now) changes.push_back({what, then.empty() ? "none" : then, now.empty() ? "none" : now});
  };
  const auto threads = [](int asked) { return asked > 0 ? std::to_string(asked) : std::string("all"); };
  compare("rules", text_of_rules(entry.provenance.rules), text_of_rules(kRules));
  compare("model hash", entry.provenance.model_hash, engine.model_hash());
  compare("device", entry.provenance.device, engine.device());
  compare("dtype", entry.provenance.dtype, engine.dtype());
  compare("threads", threads(entry.threads), threads(options.threads));
  compare("fude", entry.stats.version, version());
  std::map<std::string, std::string> then = versions_in(entry.stats.libraries);
  std::map<std::string, std::string> now = versions_in(libraries);
  std::set<std::string> names;
  for (const auto* versions : {&then, &now}) {
    for (const auto& [name, ignored] : *versions) names.insert(name);
  }
  for (const std::string& name : names) compare(name, then[name], now[name]);
  return changes;
}

Comparison comparison_of(const Image& before, const Image& now) {
  Comparison comparison{.before = {before.width, before.height}, .now = {now.width, now.height}};
  if (comparison.before != comparison.now) return comparison;
  comparison.bit_equal = before.rgb == now.rgb;
  if (!comparison.bit_equal) comparison.psnr = psnr_of(before, now);
  return comparison;
}

nlohmann::ordered_json json_from(const HistoryEntry& entry, const Comparison& comparison, const std::vector<Change>& changes) {
  using Json = nlohmann::ordered_json;
  Json list = Json::array();
  for (const auto& [what, then, now] : changes) list.push_back({{"what", what}, {"then", then}, {"now", now}});
  return {{"id", entry.id},
          {"path", text_of(entry.path)},
          {"bit_equal", comparison.bit_equal},
          {"psnr", comparison.psnr ? Json(*comparison.psnr) : Json()},
          {"differences", list}};
}

}  // namespace fude
