// Where pictures go: numbered files in a folder of the day.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace fude {

std::string today();  // "2026-11-24"

class PictureFolder {
 public:
  // `root`/YYYY-MM-DD of today. Error{io} at once when nothing can be written there.
  explicit PictureFolder(const std::string& root);

  // Writes NNNNN-SEED.png and returns its path. Numbers are used once, also when several processes write there at the same
  // time.
  std::filesystem::path save(std::span<const uint8_t> png, uint64_t seed);

 private:
  std::filesystem::path folder_;
};

std::string sha256_of(std::span<const uint8_t> bytes);  // 64 hexadecimal digits

}  // namespace fude
