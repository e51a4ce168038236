// Shared by the tokenizer fuzz targets: an input is a few files and a prompt, apart by a mark that none of them needs to hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <string_view>
#include <vector>

namespace fude::fuzz {

inline std::vector<std::string_view> sections(const uint8_t* data, size_t size) {
  constexpr std::string_view kMark = "\xff\xfe\xfd";
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  std::vector<std::string_view> parts;
  for (size_t end; (end = rest.find(kMark)) != rest.npos; rest.remove_prefix(end + kMark.size()))
    parts.push_back(rest.substr(0, end));
  parts.push_back(rest);
  return parts;
}

// A folder of this process's own.
inline const std::filesystem::path& scratch() {
  static const std::filesystem::path folder = [] {
    const auto path = std::filesystem::temp_directory_path() / ("fude_fuzz_" + std::to_string(std::random_device()()));
    std::filesystem::create_directories(path);
    return path;
  }();
  return folder;
}

inline void write(std::string_view name, std::string_view bytes) {
  std::ofstream(scratch() / name, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace fude::fuzz
