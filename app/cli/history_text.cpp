// How entries of the history are shown: a table, a description, JSON, CSV, a log.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

#include "console.h"
#include "engine/fields.h"
#include "engine/file.h"
#include "engine/size_text.h"
#include "engine/stored_picture.h"
#include "gallery/csv.h"
#include "history.h"
#include "studio/sha256.h"
#include "studio/verification.h"
#include "weights/quote.h"

namespace fude {
namespace {

using Json = nlohmann::ordered_json;
using TableRow = std::vector<std::string>;

constexpr int kFewestColumnsOfPrompt = 16;
constexpr const char* kMissing = "(missing)";

std::string text_of_number(std::optional<double> number) {
  if (!number) return {};
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", *number);
  return text;
}

std::string stars_of(const HistoryEntry& entry) {
  return std::string(static_cast<size_t>(std::clamp(entry.rating, 0, kMostStars)), '*');
}

// "11-24 22:51" in this year, "2025-11-24" before it.
std::string short_time_of(std::string created) {
  const std::time_t now = std::time(nullptr);
  char year[8];
  std::strftime(year, sizeof year, "%Y-", std::localtime(&now));
  std::replace(created.begin(), created.end(), 'T', ' ');
  return created.starts_with(year) && created.size() >= 16 ? created.substr(5, 11) : created.substr(0, 10);
}

struct Column {
  const char* name;
  bool to_the_right;
  int keep;  // those with the smallest go first where a terminal is narrow
};
constexpr Column kColumns[] = {{"id", true, 8},    {"time", false, 7}, {"stars", false, 4}, {"size", false, 3},
                               {"steps", true, 2}, {"cfg", true, 1},   {"seed", true, 5}};
constexpr size_t kColumnCount = std::size(kColumns);

// The last cell is the prompt's.
TableRow row_of(const HistoryEntry& entry) {
  const Request& request = entry.provenance.request;
  return {std::to_string(entry.id),
          short_time_of(entry.stats.created),
          stars_of(entry),
          text_of_size(request.width, request.height),
          text_of_number(request.steps),
          text_of_number(request.guidance),
          std::to_string(request.seed),
          (is_missing(entry) ? std::string(kMissing) + ' ' : "") + one_line(request.prompt)};
}

std::string padded(const std::string& text, int width, bool to_the_right) {
  const std::string space(static_cast<size_t>(std::max(0, width - columns_of(text))), ' ');
  return to_the_right ? space + text : text + space;
}

std::string state_of_file(const HistoryEntry& entry) {
  if (is_missing(entry)) return " (missing: it was moved or deleted)";
  try {
    if (sha256_of(read_file(entry.path, kLargestPicture)) != entry.sha256) return " (changed since it was drawn)";
  } catch (const Error&) {
    return " (cannot be read)";
  }
  return {};
}

std::string text_of_memory(const Bytes& bytes) {
  return text_of_bytes(bytes.host) + (bytes.device > 0 ? ", " + text_of_bytes(bytes.device) + " on the card" : "");
}

// Columns of exported tables.
constexpr Field kSettings[] = {Field::seed,     Field::width,   Field::height, Field::steps,
                               Field::guidance, Field::sampler, Field::noise};
constexpr Field kTexts[] = {Field::prompt, Field::negative};

std::string text_of_value(const std::string& value) { return value; }
std::string text_of_value(Noise value) { return std::string(name_of(value)); }
std::string text_of_value(int64_t value) { return std::to_string(value); }
std::string text_of_value(uint64_t value) { return std::to_string(value); }
std::string text_of_value(bool value) { return value ? "on" : ""; }
std::string text_of_value(double value) { return text_of_number(value); }
template <class Value>
std::string text_of_value(const std::vector<Value>& values) {
  std::string text;
  for (const Value value : values) text += (text.empty() ? "" : ", ") + text_of_value(value);
  return text;
}
template <class Value>
std::string text_of_value(const std::optional<Value>& value) {
  return text_of_number(value);
}

std::string text_of_field(const Request& request, Field field) {
  std::string text;
  visit_fields(request, [&](const auto& row, const auto& owner) {
    if (row.info.field == field) text = text_of_value(owner.*row.member);
  });
  return text;
}

}  // namespace

Json json_from(const HistoryEntry& entry) {
  const Provenance& provenance = entry.provenance;
  const auto text_or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  return {{"id", entry.id},
          {"path", text_of(entry.path)},
          {"missing", is_missing(entry)},
          {"seed", provenance.request.seed},
          {"prompt", provenance.request.prompt},
          {"created", entry.stats.created},
          {"kind", entry.kind},
          {"rating", entry.rating},
          {"session", text_or_null(text_of(entry.session))},
          {"number", entry.number > 0 ? Json(entry.number) : Json()},
          {"sha256", entry.sha256},
          {"model", provenance.model},
          {"model_hash", provenance.model_hash},
          {"model_path", entry.files.model},
          {"t5", !provenance.no_t5},
          {"device", provenance.device},
          {"dtype", provenance.dtype},
          {"rules", provenance.rules},
          {"threads", entry.threads > 0 ? Json(entry.threads) : Json()},
          {"request", json_from(provenance.request)},
          {"making", json_from(entry.stats)}};
}

std::string table_of(const std::vector<HistoryEntry>& entries, int width) {
  std::vector<TableRow> rows = {{}};
  for (const Column& column : kColumns) rows[0].emplace_back(column.name);
  rows[0].emplace_back("prompt");
  for (const HistoryEntry& entry : entries) rows.push_back(row_of(entry));

  int widths[kColumnCount] = {};
  for (const TableRow& row : rows) {
    for (size_t i = 0; i < kColumnCount; ++i) widths[i] = std::max(widths[i], columns_of(row[i]) + 2);
  }
  const auto left_for_prompt = [&] {
    int left = width;
    for (const int taken : widths) left -= taken;
    return left;
  };
  for (int keep = 1; left_for_prompt() < kFewestColumnsOfPrompt && keep < 8; ++keep) {
    for (size_t i = 0; i < kColumnCount; ++i) {
      if (kColumns[i].keep == keep) widths[i] = 0;
    }
  }

  std::string text;
  for (const TableRow& row : rows) {
    std::string line;
    for (size_t i = 0; i < kColumnCount; ++i) {
      if (widths[i] > 0) line += padded(row[i], widths[i] - 2, kColumns[i].to_the_right) + "  ";
    }
    line += shortened(row[kColumnCount], std::max(1, left_for_prompt()));
    text += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
  }
  return text;
}

std::string description_of(const HistoryEntry& entry) {
  constexpr int kNameColumn = 12;
  const auto& [request, model, model_hash, device, dtype, no_t5, rules, embeddings, latents] = entry.provenance;
  const RenderStats& stats = entry.stats;
  const Seconds& seconds = stats.seconds;
  std::string created = stats.created;
  std::replace(created.begin(), created.end(), 'T', ' ');

  std::string text;
  const auto line = [&](const char* name, const std::string& value) {
    if (!value.empty()) text += "  " + padded(name, kNameColumn, false) + one_line(value) + '\n';
  };
  text = "entry " + std::to_string(entry.id) + ", drawn " + created + " by fude " + entry.kind + '\n';
  line("file", text_of(entry.path) + state_of_file(entry));
  line("stars", stars_of(entry));
  if (!entry.session.empty()) line("session", text_of(entry.session) + ", number " + std::to_string(entry.number));
  line("prompt", request.prompt);
  line("negative", request.negative);
  for (const Field field : {Field::prompt_2, Field::prompt_3, Field::negative_2, Field::negative_3})
    line(words_of(field).c_str(), text_of_field(request, field));
  if (request.clip_skip > 0 || request.t5_tokens != Request{}.t5_tokens)
    line("encoders", "without " + std::to_string(request.clip_skip) + " layers of CLIP, " + std::to_string(request.t5_tokens) +
                         " tokens of T5");
  line("size", text_of_size(request.width, request.height));
  line("seed", std::to_string(request.seed) + ", noise " + std::string(name_of(request.noise)));
  if (const std::optional<Variation>& variation = request.variation)
    line("variation", text_of_number(variation->amount) + " of the way to seed " + std::to_string(variation->seed));
  line("steps", text_of_number(request.steps) + " by " + request.sampler +
                    (request.sigmas.empty() ? "" : ", sigmas " + text_of_value(request.sigmas)) +
                    (request.schedule != Request{}.schedule ? ", schedule " + request.schedule : "") +
                    (request.shift ? ", shift " + text_of_number(*request.shift) : ""));
  line("guidance", text_of_number(request.guidance) +
                       (request.guidance_rescale > 0 ? ", rescaled by " + text_of_number(request.guidance_rescale) : ""));
  if (const std::optional<SkipLayers>& skip = request.skip_layers)
    line("skipped", "layers " + text_of_value(skip->layers) + ", scale " + text_of_number(skip->scale) + ", from " +
                        text_of_number(skip->start) + " to " + text_of_number(skip->end) + " of the steps");
  if (const std::optional<Draft>& draft = request.draft)
    line("draft", text_of_size(draft->width, draft->height) + " in " + text_of_number(draft->steps) + " steps, strength " +
                      text_of_number(draft->strength));
  if (request.batch > 1)
    line("batch", std::to_string(request.batch) + " pictures at once, this in place " + std::to_string(request.place));
  if (request.vae_tiling) line("decode", "in tiles, where a side is larger than 1024");
  line("model", model + (no_t5 ? " without T5" : "") + ", hash " + model_hash);
  line("at", entry.files.model);
  line("device", device + " in " + dtype + (entry.threads > 0 ? ", " + std::to_string(entry.threads) + " threads" : ""));
  line("time", text_of_seconds(seconds.total) + " (load " + text_of_seconds(seconds.load) + ", encode " +
                   text_of_seconds(seconds.encode) + ", denoise " + text_of_seconds(seconds.denoise) + ", decode " +
                   text_of_seconds(seconds.decode) + ')');
  line("memory", "planned " + text_of_memory(stats.planned) + "; used " + text_of_memory(stats.used) + "; the process " +
                     text_of_bytes(stats.peak_host));
  line("embeddings", embeddings.empty() ? "" : "given by a program, hash " + embeddings);
  line("latents", latents.empty() ? "" : "begun as given by a program, hash " + latents);
  line("drawn with", "fude " + stats.version + ", " + stats.libraries);
  line("rules", text_of_rules(rules));
  return text;
}

std::string csv_of(const std::vector<HistoryEntry>& entries) {
  std::vector<std::string> names = {"id", "created", "kind", "rating", "path"};
  for (const Field field : kSettings) names.emplace_back(name_of(field));
  names.insert(names.end(), {"model", "model_hash", "device", "dtype", "seconds"});
  for (const Field field : kTexts) names.emplace_back(name_of(field));
  std::string text = csv_row(names);
  for (const HistoryEntry& entry : entries) {
    const Provenance& provenance = entry.provenance;
    const Request& request = provenance.request;
    std::vector<std::string> cells = {std::to_string(entry.id), entry.stats.created, entry.kind, std::to_string(entry.rating),
                                      text_of(entry.path)};
    for (const Field field : kSettings) cells.push_back(text_of_field(request, field));
    cells.insert(cells.end(), {provenance.model, provenance.model_hash, provenance.device, provenance.dtype,
                               text_of_number(entry.stats.seconds.total)});
    for (const Field field : kTexts) cells.push_back(text_of_field(request, field));
    text += csv_row(cells);
  }
  return text;
}

std::string log_of(const std::vector<HistoryEntry>& entries) {
  std::string text;
  for (const HistoryEntry& entry : entries)
    text +=
        entry.stats.created + '\t' + one_line(text_of(entry.path)) + '\t' + one_line(entry.provenance.request.prompt) + '\n';
  return text;
}

}  // namespace fude
