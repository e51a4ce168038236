// fude model: what the files of a model hold, and whether they are sound.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "commands.h"
#include "console.h"
#include "engine/json_text.h"
#include "engine/model_files.h"
#include "engine/text_encoders.h"
#include "fude/error.h"
#include "options.h"
#include "terminal.h"
#include "weights/inspect.h"
#include "weights/quote.h"
#include "wording.h"

namespace fude {
namespace {

using Json = nlohmann::ordered_json;
using TableRow = std::vector<std::string>;

constexpr int kUnsound = 4;

struct Job {
  ModelFiles files;
  OutputOptions output;
};

// False when help was printed.
bool parse(Options& options, Job& job, const Arguments& arguments) {
  add_model_options(options, job.files, "model,--model");
  add_output_options(options, job.output);
  if (!options.parse(arguments)) return false;
  options.apply();
  job.files.model = model_or_default(job.files.model);
  return true;
}

Checkpoint open(ModelFiles files) {
  files.hub_cache = hub_cache_folder();
  return Checkpoint::open(checkpoint_files(files));
}

// "2.24 B", "123 M"
std::string text_of_count(int64_t count) {
  const auto number = static_cast<double>(count);
  char text[32];
  if (count >= 1'000'000'000) std::snprintf(text, sizeof text, "%.2f B", number / 1e9);
  else if (count >= 1'000'000) std::snprintf(text, sizeof text, "%.1f M", number / 1e6);
  else if (count >= 1'000) std::snprintf(text, sizeof text, "%.1f k", number / 1e3);
  else std::snprintf(text, sizeof text, "%lld", static_cast<long long>(count));
  return text;
}

// Columns two spaces apart; all but the first and the last are numbers and stand to the right.
std::string table(const std::vector<TableRow>& rows) {
  std::vector<size_t> widths(rows[0].size());
  for (const TableRow& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const TableRow& row : rows) {
    std::string line = " ";
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string space(widths[i] - row[i].size(), ' ');
      const bool to_the_left = i == 0 || i + 1 == row.size();
      line += ' ' + (to_the_left ? row[i] + space : ' ' + space + row[i] + ' ');
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
  }
  return text;
}

std::string types_of(const ComponentReport& report) {
  std::string types;
  for (const auto& [type, parameters] : report.parameters_by_type) types += (types.empty() ? "" : ", ") + type;
  return types;
}

// What the tensors say about the shape of the model, for the component where one asks first: which SD3.5 is it?
std::string geometry_of(const Checkpoint& checkpoint) {
  if (!checkpoint.has(Component::transformer)) return {};
  const MmditGeometry& mmdit = checkpoint.mmdit();
  const auto dual = std::count(mmdit.dual.begin(), mmdit.dual.end(), true);
  return std::to_string(mmdit.layers) + " blocks of width " + std::to_string(mmdit.width) +
         (dual > 0 ? " (" + std::to_string(dual) + " dual)" : "") + ", pictures up to " +
         std::to_string(mmdit.pos_embed_max * mmdit.patch) + " latents a side";
}

std::string text_of_defaults(const ModelDefaults& own) {
  const auto square = [](int64_t side) { return std::to_string(side) + 'x' + std::to_string(side); };
  char numbers[64];
  std::snprintf(numbers, sizeof numbers, "%lld steps, guidance %g", static_cast<long long>(own.steps), own.guidance);
  std::string text = "its own: " + std::string(numbers);
  if (!own.kind.empty()) text = own.kind + "; " + text;
  if (own.most_side > 0)
    text += "; trained for pictures of " + square(own.least_side) +
            (own.least_side == own.most_side ? "" : " to " + square(own.most_side));
  return text;
}

Json json_of(const ModelDefaults& own) {
  const auto side = [](int64_t pixels) { return pixels > 0 ? Json(pixels) : Json(); };
  return {{"kind", own.kind},
          {"steps", own.steps},
          {"guidance", own.guidance},
          {"least_side", side(own.least_side)},
          {"most_side", side(own.most_side)}};
}

// What was compared, since equal numbers do not prove that a vocabulary is the encoder's.
Json json_of(const std::vector<TokenizerCheck>& checks) {
  Json list = Json::array();
  for (const TokenizerCheck& check : checks)
    list.push_back({{"component", name_of(check.component)},
                    {"ids", check.ids},
                    {"rows", check.rows},
                    {"start", check.start ? Json(*check.start) : Json()},
                    {"end", check.end},
                    {"pad", check.pad}});
  return list;
}

std::string text_of_checks(const std::vector<TokenizerCheck>& checks) {
  std::string text;
  for (const TokenizerCheck& check : checks)
    text += "tokenizer of " + std::string(name_of(check.component)) + ": " + std::to_string(check.ids) + " ids for " +
            std::to_string(check.rows) + " rows" + (check.start ? ", start " + std::to_string(*check.start) : "") + ", end " +
            std::to_string(check.end) + ", pad " + std::to_string(check.pad) + '\n';
  return text;
}

std::vector<std::string> worded(const std::vector<Message>& messages) {
  std::vector<std::string> texts;
  for (const Message& message : messages) texts.push_back(fude::worded(message));
  return texts;
}

// What keeps a model from being drawn with, as far as headers and tokenizers tell.
std::vector<std::string> faults_of(const Inspection& inspection, const Readiness& readiness) {
  std::vector<std::string> faults = worded(readiness.faults);
  faults.insert(faults.end(), inspection.not_understood.begin(), inspection.not_understood.end());
  return faults;
}

Json json_of(const Inspection& inspection, const Readiness& readiness) {
  Json components = Json::array();
  for (const ComponentReport& report : inspection.components) {
    Json files = Json::array();
    for (const auto& file : report.files) files.push_back(text_of(file));
    components.push_back({{"name", name_of(report.component)},
                          {"layout", report.layout},
                          {"parameters", report.parameters},
                          {"parameters_by_dtype", report.parameters_by_type},
                          {"tensors", report.tensors},
                          {"bytes", report.bytes},
                          {"files", files}});
  }
  Json absent = Json::array();
  for (const Component component : inspection.absent) absent.push_back(name_of(component));
  return {{"path", text_of(inspection.path)},
          {"layout", inspection.layout},
          {"hash", hexadecimal(inspection.identity)},
          {"parameters", inspection.parameters},
          {"bytes", inspection.bytes},
          {"components", components},
          {"absent", absent},
          {"defaults", inspection.defaults ? json_of(*inspection.defaults) : Json()},
          {"tokenizers", json_of(readiness.tokenizers)},
          {"faults", faults_of(inspection, readiness)}};
}

std::string text_of_inspection(const Inspection& inspection, const Readiness& readiness, const std::string& geometry) {
  std::vector<TableRow> rows = {{"component", "parameters", "types", "size", "tensors", "naming"}};
  for (const ComponentReport& report : inspection.components) {
    rows.push_back({std::string(name_of(report.component)), text_of_count(report.parameters), types_of(report),
                    text_of_bytes(report.bytes), std::to_string(report.tensors), report.layout});
  }
  for (const Component component : inspection.absent)
    rows.push_back({std::string(name_of(component)), "", "", "", "", "not there"});
  rows.push_back({"all", text_of_count(inspection.parameters), "", text_of_bytes(inspection.bytes), "", ""});
  std::string faults;
  for (const std::string& fault : faults_of(inspection, readiness)) faults += fault + '\n';
  return text_of(inspection.path) + "\n  " + inspection.layout + ", hash " + hexadecimal(inspection.identity) + '\n' +
         (geometry.empty() ? "" : "  " + geometry + '\n') +
         (inspection.defaults ? "  " + text_of_defaults(*inspection.defaults) + '\n' : "") + '\n' + table(rows) + '\n' +
         text_of_checks(readiness.tokenizers) + (faults.empty() ? "" : "It cannot be drawn with as it is:\n" + faults);
}

int inspect_command(const Arguments& arguments) {
  Job job;
  Options options("model inspect", "[MODEL] [options]",
                  "Shows the components of a model, their sizes and types, and what it draws with unless told otherwise. Reads "
                  "no weights.");
  if (!parse(options, job, arguments)) return 0;
  const Checkpoint checkpoint = open(job.files);
  const Inspection inspection = inspect(checkpoint);
  const Readiness readiness = readiness_of(checkpoint);
  print(job.output.json ? json_document(json_of(inspection, readiness))
                        : text_of_inspection(inspection, readiness, geometry_of(checkpoint)));
  return 0;
}

int verify_command(const Arguments& arguments) {
  Job job;
  Options options("model verify", "[MODEL] [options]",
                  "Reads every value of a model once and looks for missing, unexpected, misshaped and non-finite tensors, for "
                  "scales it does not "
                  "understand, and for tokenizers of another model. Exit code 0 when it can be drawn with, 4 when not.");
  if (!parse(options, job, arguments)) return 0;
  const Console console(job.output.quiet, job.output.no_color);
  const std::atomic<bool>& stop = terminal::stop_requested();
  const Checkpoint checkpoint = open(job.files);

  const bool shows_progress = terminal::is_terminal(terminal::Stream::error) && !job.output.quiet;
  int shown_percent = -1;
  const std::vector<Finding> findings = verify(checkpoint, [&](int64_t done, int64_t total) {
    if (stop) throw Error(Code::cancelled, "stopped before the end; nothing can be said about the model.");
    const int percent = static_cast<int>(static_cast<double>(done) * 100 / static_cast<double>(std::max<int64_t>(total, 1)));
    if (!shows_progress || percent == shown_percent) return;
    std::fprintf(stderr, "\rread %d %% of %s", shown_percent = percent, text_of_bytes(total).c_str());
  });
  if (shown_percent >= 0) std::fputs("\r\x1b[K", stderr);

  const Readiness readiness = readiness_of(checkpoint);
  const bool sound_tensors =
      std::all_of(findings.begin(), findings.end(), [](const Finding& f) { return f.kind == Finding::Kind::unexpected; });
  const bool is_damaged = std::any_of(findings.begin(), findings.end(), [](const Finding& f) {
    return f.kind != Finding::Kind::unexpected && f.kind != Finding::Kind::not_understood;
  });
  const bool sound = sound_tensors && readiness.faults.empty();
  if (job.output.json) {
    Json list = Json::array();
    for (const Finding& finding : findings) {
      list.push_back({{"kind", name_of(finding.kind)},
                      {"component", finding.component ? Json(name_of(*finding.component)) : Json()},
                      {"tensor", finding.tensor},
                      {"detail", finding.detail}});
    }
    print(json_document({{"path", text_of(checkpoint.path())},
                         {"sound", sound},
                         {"findings", list},
                         {"faults", worded(readiness.faults)},
                         {"tokenizers", json_of(readiness.tokenizers)}}));
  } else {
    std::string text;
    for (const Finding& finding : findings) {
      text += std::string(name_of(finding.kind)) + ": " +
              (finding.component ? std::string(name_of(*finding.component)) + ' ' : "") + shown(finding.tensor) +
              (finding.detail.empty() ? "" : " (" + finding.detail + ')') + '\n';
    }
    text += text_of_checks(readiness.tokenizers) + text_of(checkpoint.path()) +
            (is_damaged         ? " cannot be drawn with as it is: download it again"
             : !sound_tensors   ? " cannot be drawn with as it is: fude does not know how it is quantised"
             : !sound           ? ": its tensors are sound, but it cannot be drawn with as it is:"
             : findings.empty() ? " is sound"
                                : " is sound; what was not expected is not used") +
            '\n';
    for (const std::string& fault : worded(readiness.faults)) text += fault + '\n';
    print(text);
  }
  return sound ? 0 : kUnsound;
}

}  // namespace

int model_command(const Arguments& arguments) {
  return run_command("fude model", "Looks at the files of a model. Nothing is changed.",
                     {{"inspect", "show components, sizes, types and naming", inspect_command},
                      {"verify", "look for what is missing, damaged or of another model", verify_command}},
                     arguments);
}

}  // namespace fude
