// Where tests write.
#pragma once

#include <filesystem>
#include <random>
#include <string>

namespace fude {

// A name that no file has so far, in no process: tests may run side by side.
inline std::filesystem::path temporary(const std::string& name) {
  return std::filesystem::temp_directory_path() / ("fude_" + std::to_string(std::random_device{}()) + "_" + name);
}

}  // namespace fude
