// Small files for the tests of weights: a folder that goes away, tensors with bytes of their own, and errors as text.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "fude/error.h"
#include "temporary.h"
#include "told.h"
#include "weights/components/clip.h"
#include "weights/components/mmdit.h"
#include "weights/components/t5.h"
#include "weights/components/vae.h"
#include "weights/safetensors.h"

namespace fude {

class Folder {
 public:
  Folder() : path_(temporary("weights")) { std::filesystem::create_directories(path_); }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Tensors to be written, with their bytes.
class Tensors {
 public:
  void add(const std::string& name, DType dtype, std::vector<int64_t> shape, const std::vector<float>& values) {
    std::string bytes(values.size() * static_cast<size_t>(size_of(dtype)), '\0');
    from_f32(dtype, values.data(), bytes.data(), static_cast<int64_t>(values.size()));
    add_bytes(name, find_type(dtype), std::move(shape), bytes);
  }
  // With random values, no two tensors alike.
  void add(const std::string& name, DType dtype, const std::vector<int64_t>& shape) {
    int64_t n = 1;
    for (const int64_t extent : shape) n *= extent;
    std::vector<float> values(static_cast<size_t>(n));
    std::normal_distribution<float> normal;
    for (float& value : values) value = normal(random_);
    add(name, dtype, shape, values);
  }
  void add_bytes(const std::string& name, const std::string& type, std::vector<int64_t> shape, const std::string& bytes) {
    types_.push_back(type);
    bytes_.push_back(bytes);
    const auto* data = reinterpret_cast<const std::byte*>(bytes_.back().data());
    list_.push_back({name, {}, types_.back(), std::move(shape), {data, bytes.size()}, nullptr});
  }
  void add_all(const std::vector<ExpectedTensor>& expected, const std::string& prefix, DType dtype = DType::f32) {
    for (const ExpectedTensor& e : expected) add(prefix + e.name, dtype, e.shape);
  }
  void remove(const std::string& name) {
    std::erase_if(list_, [&](const StoredTensor& t) { return t.name == name; });
  }
  StoredTensor& at(const std::string& name) {
    for (StoredTensor& tensor : list_)
      if (tensor.name == name) return tensor;
    throw std::out_of_range(name);
  }
  std::vector<StoredTensor>& list() { return list_; }
  void write(const std::filesystem::path& path) const {
    std::filesystem::create_directories(path.parent_path());
    write_safetensors(path, list_);
  }

 private:
  static std::string find_type(DType dtype) { return std::string(stored_tensor("", dtype, {}, {}).type); }

  std::mt19937 random_{7};
  std::deque<std::string> types_, bytes_;  // of stable addresses: list_ points into them
  std::vector<StoredTensor> list_;
};

// The message of the Error that the function throws; a test failure when there is none or its code differs.
template <class Function>
std::string error_of(Code code, Function&& function) {
  try {
    function();
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
    return told(error.message());
  }
  ADD_FAILURE() << "no error was thrown";
  return {};
}

inline testing::AssertionResult has(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "\"" << part << "\" is not in: " << text;
}

}  // namespace fude
