// Where a picture is written: under the next number of a folder, or into one file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

namespace fude {

class PicturePlace {
 public:
  // Error{io} at once when nothing can be written there.
  static PicturePlace in_folder(const std::filesystem::path& folder);
  static PicturePlace as_file(const std::filesystem::path& file);

  // Writes the file, or NNNNN-SEED.png in the folder, and returns its path. Numbers are used once, also when several processes
  // write there at the same time. Error{io}.
  std::filesystem::path save(std::span<const uint8_t> png, uint64_t seed) const;

 private:
  PicturePlace() = default;

  std::filesystem::path folder_, file_;
};

}  // namespace fude
