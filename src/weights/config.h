// A JSON file of a checkpoint. Every value is checked where it is read, and errors name the file and the key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace fude {

// Reads a JSON object. Throws Error{bad_checkpoint}.
nlohmann::json read_json_object(const std::filesystem::path& path);

class Config {
 public:
  Config() = default;  // of a component without a file: every key is absent
  static Config read(const std::filesystem::path& path);
  // The file's values, or none when there is no such file.
  static Config read_if_there(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  bool has(std::string_view key) const;                  // null counts as absent
  const nlohmann::json& at(std::string_view key) const;  // a key that it has

  // The value, or `otherwise` when absent. Throws Error{bad_checkpoint} for another type and for values out of range.
  int64_t integer(std::string_view key, int64_t otherwise, int64_t least, int64_t most) const;
  double number(std::string_view key, double otherwise, double least, double most) const;
  bool boolean(std::string_view key, bool otherwise) const;
  std::string text(std::string_view key, std::string_view otherwise) const;
  // Lists of `columns` numbers each, −1000 to 1000; empty when absent.
  std::vector<std::vector<double>> rows(std::string_view key, size_t columns) const;
  std::vector<int64_t> integers(std::string_view key, int64_t least, int64_t most) const;  // empty when absent

  // Throws Error{bad_checkpoint} when the key is there and differs from what the tensors say.
  void expect(std::string_view key, int64_t in_tensors) const;
  [[noreturn]] void fail(std::string_view key, const std::string& what) const;

 private:
  int64_t integer_in(std::string_view key, const nlohmann::json& value, int64_t least, int64_t most) const;

  std::filesystem::path path_;
  std::shared_ptr<const nlohmann::json> values_;  // none: no file
};

}  // namespace fude
