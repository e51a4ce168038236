// Checked reading of single values.
#include "weights/config.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "fude/error.h"
#include "weights/json_file.h"
#include "weights/presence.h"
#include "weights/quote.h"

namespace fude {

nlohmann::json read_json_object(const std::filesystem::path& path) {
  nlohmann::json json = read_json(path);
  if (!json.is_object()) bad_file(path, "it is not a JSON object");
  return json;
}

Config Config::read(const std::filesystem::path& path) {
  Config config;
  config.path_ = path;
  config.values_ = std::make_shared<nlohmann::json>(read_json_object(path));
  return config;
}

Config Config::read_if_there(const std::filesystem::path& path) { return is_present(path) ? read(path) : Config(); }

bool Config::has(std::string_view key) const {
  if (!values_) return false;
  const auto found = values_->find(key);
  return found != values_->end() && !found->is_null();
}

const nlohmann::json& Config::at(std::string_view key) const { return *values_->find(key); }

int64_t Config::integer(std::string_view key, int64_t otherwise, int64_t least, int64_t most) const {
  return has(key) ? integer_in(key, at(key), least, most) : otherwise;
}

double Config::number(std::string_view key, double otherwise, double least, double most) const {
  if (!has(key)) return otherwise;
  const auto& value = at(key);
  if (!value.is_number()) fail(key, "is " + shown(value.dump(-1, ' ', true)) + ", not a number");
  const auto number = value.get<double>();
  if (!(number >= least && number <= most))
    fail(key, "is " + value.dump() + ", not between " + std::to_string(least) + " and " + std::to_string(most));
  return number;
}

bool Config::boolean(std::string_view key, bool otherwise) const {
  if (!has(key)) return otherwise;
  const auto& value = at(key);
  if (!value.is_boolean()) fail(key, "is " + shown(value.dump(-1, ' ', true)) + ", not true or false");
  return value.get<bool>();
}

std::string Config::text(std::string_view key, std::string_view otherwise) const {
  if (!has(key)) return std::string(otherwise);
  const auto& value = at(key);
  if (!value.is_string()) fail(key, "is " + shown(value.dump(-1, ' ', true)) + ", not text");
  return value.get<std::string>();
}

std::vector<int64_t> Config::integers(std::string_view key, int64_t least, int64_t most) const {
  std::vector<int64_t> result;
  if (!has(key)) return result;
  const auto& list = at(key);
  constexpr size_t kLongest = 4096;
  if (!list.is_array() || list.size() > kLongest) fail(key, "is not a short list");
  for (const auto& value : list) result.push_back(integer_in(key, value, least, most));
  return result;
}

std::vector<std::vector<double>> Config::rows(std::string_view key, size_t columns) const {
  std::vector<std::vector<double>> result;
  if (!has(key)) return result;
  const auto& list = at(key);
  constexpr size_t kLongest = 4096;
  constexpr double kLargest = 1000;
  if (!list.is_array() || list.size() > kLongest) fail(key, "is not a short list");
  for (const auto& row : list) {
    if (!row.is_array() || row.size() != columns) fail(key, "has a row that is not " + std::to_string(columns) + " numbers");
    std::vector<double>& numbers = result.emplace_back();
    for (const auto& value : row) {
      if (!value.is_number() || !(std::abs(value.get<double>()) <= kLargest)) fail(key, "has a value that is no small number");
      numbers.push_back(value.get<double>());
    }
  }
  return result;
}

int64_t Config::integer_in(std::string_view key, const nlohmann::json& value, int64_t least, int64_t most) const {
  constexpr auto kLargest = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  const bool whole = value.is_number_integer() && !(value.is_number_unsigned() && value.get<uint64_t>() > kLargest);
  if (whole && value.get<int64_t>() >= least && value.get<int64_t>() <= most) return value.get<int64_t>();
  fail(key, "is " + shown(value.dump(-1, ' ', true)) + ", not a whole number between " + std::to_string(least) + " and " +
                std::to_string(most));
}

void Config::expect(std::string_view key, int64_t in_tensors) const {
  const int64_t here = integer(key, in_tensors, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max());
  if (here != in_tensors) fail(key, "is " + std::to_string(here) + ", but the tensors say " + std::to_string(in_tensors));
}

void Config::fail(std::string_view key, const std::string& what) const {
  throw Error(Code::bad_checkpoint, {.what = "in " + shown(path_) + " " + shown(key) + " " + what +
                                             ". The file was changed or belongs to another model: download it again.",
                                     .where = {.file = text_of(path_)}});
}

}  // namespace fude
