// A finished picture's file, as commands and clients are told of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace fude {

struct SavedPicture {
  std::filesystem::path path;
  uint64_t seed = 0;
  int64_t width = 0, height = 0;
  std::string sha256;  // of the file
  int64_t id = 0;      // in the history, 0 when it could not be kept
};

// {"path", "seed", "width", "height", "sha256", "id"}; id is null when the history could not keep it.
nlohmann::ordered_json json_from(const SavedPicture& picture);

}  // namespace fude
