// The page is report.html beside this file: a template whose script lays out the data that is put into it here.
#include "gallery/report.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/file.h"
#include "engine/json_text.h"
#include "gallery/csv.h"
#include "gallery/jpeg.h"
#include "gallery/report_page.h"
#include "gallery/scale.h"
#include "gallery/series.h"
#include "weights/quote.h"

namespace fs = std::filesystem;

namespace fude {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kManyPictures = 48;  // from here on the page holds smaller ones
constexpr int64_t kLongSide = 768, kLongSideOfMany = 512;
constexpr int kQuality = 85;

// A cell and what was computed from its pixels.
struct Entry {
  const Cell* cell = nullptr;
  std::string jpeg;  // a data: URL
  const Cell* compared_to = nullptr;
  Difference difference;
};

std::string base64(std::span<const uint8_t> bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t three = 0;
    for (size_t k = 0; k < 3; ++k) three = three << 8 | (i + k < bytes.size() ? bytes[i + k] : 0u);
    for (size_t k = 0; k < 4; ++k) text += i + k > bytes.size() ? '=' : digits[three >> (18 - 6 * k) & 63];
  }
  return text;
}

std::string data_url(std::span<const uint8_t> jpeg) { return "data:image/jpeg;base64," + base64(jpeg); }

// Decodes each picture once; those of a series while the picture they are compared with is in memory.
std::map<int64_t, Entry> look_at(const Arrangement& arrangement, std::span<const Cell> cells, std::vector<Series>& all) {
  const auto url = [&](const Cell& cell, const Image& picture) {
    return data_url(cell.jpeg.empty() ? jpeg_for_report(picture, arrangement.count) : cell.jpeg);
  };
  std::map<int64_t, Entry> entries;
  for (Series& series : all) {
    const Cell* last = series.cells.back();
    const Image most = read_pixels(last->file);
    for (const Cell* cell : series.cells) {
      const Image picture = cell == last ? most : read_pixels(cell->file);
      series.changes.push_back(cell == last ? Difference{0, INFINITY, 1} : difference_between(picture, most));
      entries[cell->number] = {cell, url(*cell, picture), cell == last ? nullptr : last, series.changes.back()};
    }
  }
  for (const Cell& cell : cells) {
    if (!entries.contains(cell.number))
      entries[cell.number] = {&cell, url(cell, cell.jpeg.empty() ? read_pixels(cell.file) : Image{}), nullptr, {}};
  }
  return entries;
}

std::optional<double> seconds_per_step(const Cell& cell) {
  std::vector<double> seconds = cell.stats.step_seconds;
  if (seconds.empty()) return std::nullopt;
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle / static_cast<double>(std::max<int64_t>(1, cell.provenance.request.batch));
}

// From the folder of the report, so that both can be moved together.
std::string path_from(const fs::path& folder, const fs::path& file) {
  std::error_code error;
  fs::path relative = fs::proximate(file, folder, error);
  if (error) relative = file;
  const std::u8string text = relative.generic_u8string();
  return {text.begin(), text.end()};
}

Json positive_or_null(double number) { return number > 0 ? Json(number) : Json(); }
Json positive_or_null(int64_t number) { return number > 0 ? Json(number) : Json(); }

Json json_from(const fs::path& folder, const Arrangement& arrangement, const Entry& entry) {
  const Cell& cell = *entry.cell;
  Json values = Json::object();
  for (size_t axis = 0; axis < arrangement.axes.size(); ++axis)
    values[arrangement.axes[axis].name] = arrangement.axes[axis].values[value_of(arrangement, axis, cell.number)];
  const std::optional<double> per_step = seconds_per_step(cell);
  Json json = {{"number", cell.number},
               {"file", path_from(folder, cell.file)},
               {"values", values},
               {"seconds", positive_or_null(cell.stats.seconds.total)},
               {"seconds_per_step", per_step ? Json(*per_step) : Json()},
               {"peak_bytes",
                {{"host", positive_or_null(std::max(cell.stats.peak_host, cell.stats.used.host))},
                 {"device", positive_or_null(cell.stats.used.device)}}},
               {"difference", nullptr},
               {"request", json_from(cell.provenance)},
               {"making", json_from(cell.stats)}};
  if (entry.compared_to) {
    const Difference& difference = entry.difference;
    json["difference"] = {{"to", entry.compared_to->number},
                          {"change", difference.change},
                          {"psnr", std::isinf(difference.psnr) ? Json() : Json(difference.psnr)},
                          {"ssim", difference.ssim}};
  }
  return json;
}

Json json_from(const fs::path& folder, const Arrangement& arrangement, const std::map<int64_t, Entry>& entries,
               const std::vector<Series>& all) {
  Json json = {
      {"title", arrangement.title}, {"lines", arrangement.lines}, {"count", arrangement.count}, {"finished", entries.size()}};
  json["axes"] = Json::array();
  for (const Axis& axis : arrangement.axes) json["axes"].push_back({{"name", axis.name}, {"values", axis.values}});
  json["sentences"] = sentences_about(all);
  json["series"] = Json::array();
  for (const Series& series : all) {
    Json numbers = Json::array();
    for (const Cell* cell : series.cells) numbers.push_back(cell->number);
    json["series"].push_back({{"label", series.label}, {"cells", numbers}});
  }
  json["cells"] = Json::array();
  for (const auto& [number, entry] : entries) json["cells"].push_back(json_from(folder, arrangement, entry));
  return json;
}

std::string text_of_field(const Json& value) {
  if (value.is_null()) return "";
  return value.is_string() ? value.get<std::string>() : text_of_json(value);
}

// The axes first; of other columns those that are none.
std::string csv_from(const Arrangement& arrangement, const Json& report) {
  std::vector<std::pair<std::string, Json::json_pointer>> columns;  // names, and where in a cell the values are
  const auto add = [&](const std::string& name, const std::string& where) {
    const auto same = [&](const auto& column) { return column.first == name; };
    if (std::none_of(columns.begin(), columns.end(), same)) columns.emplace_back(name, Json::json_pointer(where));
  };
  add("number", "/number");
  add("file", "/file");
  for (const Axis& axis : arrangement.axes) add(axis.name, "/values/" + axis.name);
  for (const char* name :
       {"prompt", "negative", "seed", "steps", "guidance", "width", "height", "sampler", "shift", "device", "model"})
    add(name, std::string("/request/") + name);
  add("computed_in", "/request/dtype");
  add("seconds", "/seconds");
  add("seconds_per_step", "/seconds_per_step");
  add("peak_host_bytes", "/peak_bytes/host");
  add("peak_device_bytes", "/peak_bytes/device");
  add("compared_to", "/difference/to");
  for (const char* name : {"change", "psnr", "ssim"}) add(name, std::string("/difference/") + name);

  std::vector<std::string> row;
  for (const auto& [name, where] : columns) row.push_back(name);
  std::string csv = csv_row(row);
  for (const Json& cell : report["cells"]) {
    row.clear();
    for (const auto& [name, where] : columns) row.push_back(cell.contains(where) ? text_of_field(cell.at(where)) : "");
    csv += csv_row(row);
  }
  return csv;
}

std::string escaped(std::string_view text) {
  std::string html;
  for (const char c : text) {
    switch (c) {
      case '&': html += "&amp;"; break;
      case '<': html += "&lt;"; break;
      case '>': html += "&gt;"; break;
      case '"': html += "&quot;"; break;
      default: html += c;
    }
  }
  return html;
}

// The first sentence stands out; those about single rows can be folded away.
std::string findings_in(const Json& sentences) {
  constexpr size_t few = 7;
  if (sentences.empty()) return {};
  std::string html = "<p class=\"finding\">" + escaped(sentences[0].get<std::string>()) + "</p>";
  if (sentences.size() == 1) return html;
  html += sentences.size() <= few ? "<details open>" : "<details>";
  html += "<summary>Row by row</summary><ul>";
  for (size_t i = 1; i < sentences.size(); ++i) html += "<li>" + escaped(sentences[i].get<std::string>()) + "</li>";
  return html + "</ul></details>";
}

// What the script reads: the report, how it is laid out, and the pictures.
std::string data_of(const fs::path& folder, const Arrangement& arrangement, Json report,
                    const std::map<int64_t, Entry>& entries) {
  report["limit"] = kUnchanged;
  report["candidates"] = arrangement.candidates;
  report["folder"] = text_of(folder);
  report["tables"] = Json::array();
  for (const Table& table : tables_of(arrangement))
    report["tables"].push_back(
        {{"heading", table.heading}, {"columns", table.columns}, {"rows", table.rows}, {"numbers", table.numbers}});
  for (Json& cell : report["cells"]) {
    const std::string label = label_of(arrangement, cell["number"].get<int64_t>());
    cell["label"] = label.empty() && cell["request"]["prompt"] != arrangement.title ? cell["request"]["prompt"] : Json(label);
    cell["picture"] = entries.at(cell["number"].get<int64_t>()).jpeg;
    cell["width"] = cell["request"]["width"];
    cell["height"] = cell["request"]["height"];
    cell["seed"] = std::to_string(cell["request"]["seed"].get<uint64_t>());  // a script's numbers end at 2⁵³
    cell["steps"] = cell["request"]["steps"];
  }
  // Only in strings, where it may be written so; else a prompt could end the script.
  std::string text;
  for (const char c : text_of_json(report)) text += c == '<' ? "\\u003c" : std::string(1, c);
  return text;
}

std::string page_from(const fs::path& folder, const Arrangement& arrangement, const Json& report,
                      const std::map<int64_t, Entry>& entries) {
  std::string lines;
  for (const std::string& line : arrangement.lines) lines += "<p>" + escaped(line) + "</p>";
  const std::pair<std::string_view, std::string> parts[] = {
      {"{{name}}", arrangement.title.empty() ? "fude" : escaped(arrangement.title)},
      {"{{title}}", escaped(arrangement.title)},
      {"{{lines}}", lines},
      {"{{findings}}", findings_in(report["sentences"])},
      {"{{version}}", escaped(version())},
      {"{{data}}", data_of(folder, arrangement, report, entries)}};
  std::string_view page = report_page();
  std::string html;
  while (!page.empty()) {
    const size_t at = page.find("{{");
    html += page.substr(0, at);
    if (at == std::string_view::npos) break;
    page.remove_prefix(at);
    const auto part =
        std::find_if(std::begin(parts), std::end(parts), [&](const auto& one) { return page.starts_with(one.first); });
    html += part == std::end(parts) ? "{{" : part->second;
    page.remove_prefix(part == std::end(parts) ? 2 : part->first.size());
  }
  return html;
}

void write_text(const fs::path& path, const std::string& text) {
  write_file(path, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

}  // namespace

std::vector<uint8_t> jpeg_for_report(const Image& picture, int64_t count) {
  const int64_t long_side = count > kManyPictures ? kLongSideOfMany : kLongSide;
  return encode_jpeg(scaled(picture, fitted({picture.width, picture.height}, {long_side, long_side})), kQuality);
}

void write_report(const fs::path& folder, const Arrangement& arrangement, std::span<const Cell> cells) {
  std::vector<Series> series = series_of(arrangement, cells);
  const std::map<int64_t, Entry> entries = look_at(arrangement, cells, series);
  const Json report = json_from(folder, arrangement, entries, series);
  write_text(folder / "report.html", page_from(folder, arrangement, report, entries));
  write_text(folder / "report.json", json_document(report));
  write_text(folder / "report.csv", std::string(kUtf8Mark) + csv_from(arrangement, report));
}

}  // namespace fude
