// Where tests write, and what the system lets them do there.
#pragma once

#include <filesystem>
#include <random>
#include <string>

namespace fude {

// A file that is in use can be changed by nobody, and tests make no symbolic links.
#ifdef _WIN32
inline constexpr bool kIsWindows = true;
#else
inline constexpr bool kIsWindows = false;
#endif

// A name that no file has so far, in no process: tests may run side by side.
inline std::filesystem::path temporary(const std::string& name) {
  return std::filesystem::temp_directory_path() / ("fude_" + std::to_string(std::random_device{}()) + "_" + name);
}

}  // namespace fude
