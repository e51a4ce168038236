// The text follows stable-diffusion-webui: modules/processing.py create_infotext writes it, modules/infotext_utils.py
// parse_generation_parameters reads it, with the pattern
//   \s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)
// which is matched by hand below: std::regex recurses for every character, and the text may be hostile.
#include "engine/parameters.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/characters.h"

namespace fude {
namespace {

constexpr size_t kFewestFields = 3;  // in a line, for it to be the line of fields
constexpr std::string_view kFirstField = "Steps:";

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

std::string_view strip(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// The end of "…" starting at `at`, when a comma or the end of the line follows it; else npos.
size_t end_of_quotes(std::string_view line, size_t at) {
  if (at >= line.size() || line[at] != '"') return std::string_view::npos;
  size_t i = at + 1;
  while (i < line.size() && line[i] != '"') i += line[i] == '\\' ? 2 : 1;
  const bool whole = i < line.size() && i > at + 1 && (i + 1 == line.size() || line[i + 1] == ',');
  return whole ? i + 1 : std::string_view::npos;
}

std::string unquoted(std::string_view value) {
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    const nlohmann::json json = nlohmann::json::parse(value, nullptr, false);
    if (json.is_string()) return json.get<std::string>();
  }
  return std::string(value);
}

std::vector<std::pair<std::string, std::string>> fields_in(std::string_view line) {
  std::vector<std::pair<std::string, std::string>> fields;
  size_t at = 0;
  while (at < line.size()) {
    if (!is_word(line[at])) {
      ++at;
      continue;
    }
    size_t colon = at;
    while (colon < line.size() && (is_word(line[colon]) || line[colon] == ' ' || line[colon] == '-' || line[colon] == '/'))
      ++colon;
    size_t second = at + 1;  // the name's second character, behind all bytes of the first
    while (second < line.size() && continues_character(line[second])) ++second;
    if (colon == line.size() || line[colon] != ':' || colon <= second) {
      at = colon + 1;  // no name ends in this run of characters, wherever in it one would start
      continue;
    }
    size_t value = colon + 1;
    while (value < line.size() && is_space(line[value])) ++value;
    size_t end = end_of_quotes(line, value);
    if (end == std::string_view::npos) end = std::min(line.find(',', value), line.size());
    fields.emplace_back(line.substr(at, colon - at), unquoted(line.substr(value, end - value)));
    at = end + 1;
  }
  return fields;
}

// The last line that the fields begin and that has enough of them, and where it is; extensions write lines of their own behind
// it.
struct FieldsLine {
  size_t begin = 0, end = 0;
  std::vector<std::pair<std::string, std::string>> fields;
};

FieldsLine last_fields_in(std::string_view text) {
  for (size_t end = text.size();;) {
    const size_t before = end == 0 ? std::string_view::npos : text.rfind('\n', end - 1);
    const size_t begin = before == std::string_view::npos ? 0 : before + 1;
    const std::string_view line = strip(text.substr(begin, end - begin));
    if (line.starts_with(kFirstField)) {
      FieldsLine found{begin, end, fields_in(line)};
      if (found.fields.size() >= kFewestFields) return found;
    }
    if (begin == 0) return {text.size(), text.size(), {}};
    end = before;
  }
}

}  // namespace

std::string_view Parameters::field(std::string_view name) const {
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const auto& field) { return field.first == name; });
  return found == fields.end() ? std::string_view() : std::string_view(found->second);
}

Parameters parse_parameters(std::string_view text) {
  text = strip(text);
  Parameters parameters;
  FieldsLine line_of_fields = last_fields_in(text);
  parameters.fields = std::move(line_of_fields.fields);
  parameters.rest = strip(text.substr(line_of_fields.end));
  text = text.substr(0, line_of_fields.begin);

  bool in_negative = false;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = strip(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with(kNegativePrefix)) {
      in_negative = true;
      line = strip(line.substr(kNegativePrefix.size()));
    }
    std::string& part = in_negative ? parameters.negative : parameters.prompt;
    if (!part.empty()) part += '\n';
    part += line;
  }
  return parameters;
}

}  // namespace fude
