// What the tokenizer tests share: the real vocabularies where they are, the exported test set, small files, errors as text.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "fude/error.h"
#include "model/tokens.h"
#include "temporary.h"

namespace fude {

using Ids = std::vector<int32_t>;

// The ids before padding.
inline Ids used(const Tokens& tokens) { return {tokens.ids.begin(), tokens.ids.begin() + tokens.used}; }

// The folder with the vocabularies of the real checkpoint (clip/ and t5/), which the project does not hold.
inline std::filesystem::path real_data() {
  const char* chosen = std::getenv("FUDE_TOKENIZER_DATA");
  return chosen ? std::filesystem::path(chosen) : std::filesystem::path(FUDE_SOURCE_DIR) / "../shared/data/tokenizers";
}

inline bool has_real_data() { return std::filesystem::exists(real_data() / "t5/tokenizer.json"); }

// Calls check(text, row) for each line of the set that tools/export_tokenizer_goldens.py writes; returns how many there were.
inline int for_each_golden(const std::function<void(const std::string&, const nlohmann::json&)>& check) {
  std::ifstream file(std::filesystem::path(FUDE_SOURCE_DIR) / "tests/fixtures/tokenizers/conformance.jsonl");
  int count = 0;
  for (std::string line; std::getline(file, line); ++count) {
    const auto row = nlohmann::json::parse(line);
    check(row.at("text"), row);
  }
  return count;
}

class TokenizerFolder {
 public:
  TokenizerFolder() : path_(temporary("tokenizer")) { std::filesystem::create_directories(path_); }
  ~TokenizerFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TokenizerFolder(const TokenizerFolder&) = delete;
  TokenizerFolder& operator=(const TokenizerFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
  }
  void write(const std::string& name, const nlohmann::json& value) const { write(name, value.dump()); }
  void remove(const std::string& name) const { std::filesystem::remove(path_ / name); }

 private:
  std::filesystem::path path_;
};

// The message of the Error that the function throws; a test failure when there is none or its code differs.
inline std::string error_of(Code code, const std::function<void()>& function) {
  try {
    function();
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return {};
}

inline testing::AssertionResult has(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "\"" << part << "\" is not in: " << text;
}

}  // namespace fude
