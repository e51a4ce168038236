// Numbering files so that no two processes take the same number.
#include "studio/picture_place.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string>
#include <system_error>
#include <vector>

#include "engine/file.h"
#include "fude/error.h"
#include "weights/paths.h"
#include "weights/quote.h"

namespace fs = std::filesystem;

namespace fude {
namespace {

constexpr const char* kEnding = ".png";

// The number that a file name starts with, 0 when it starts otherwise.
int64_t number_of(const fs::path& file) {
  const std::string name = text_of(file.filename());
  int64_t number = 0;
  const auto end = std::from_chars(name.data(), name.data() + name.size(), number).ptr;
  return end != name.data() + name.size() && *end == '-' ? number : 0;
}

[[noreturn]] void fail_to_write(const fs::path& folder, const std::error_code& reason) {
  throw Error(Code::io,
              "cannot write in " + shown(folder) + ": " + reason.message() + ". Free some space or choose another folder.");
}

std::vector<fs::path> files_in(const fs::path& folder) {
  std::error_code reason;
  std::vector<fs::path> files = entries_of(folder, reason);
  if (reason) fail_to_write(folder, reason);
  return files;
}

int64_t largest_number_in(const fs::path& folder) {
  int64_t largest = 0;
  for (const fs::path& file : files_in(folder)) largest = std::max(largest, number_of(file));
  return largest;
}

bool is_used(const fs::path& folder, int64_t number) {
  const std::vector<fs::path> files = files_in(folder);
  return std::any_of(files.begin(), files.end(), [&](const fs::path& file) { return number_of(file) == number; });
}

std::string digits_of(int64_t number) {
  char text[24];
  std::snprintf(text, sizeof text, "%05lld", static_cast<long long>(number));
  return text;
}

// A number that no other process uses while this lives: making a folder fails everywhere when it exists. One that was left
// behind by a process that died costs a number, nothing else.
class Reservation {
 public:
  Reservation(const fs::path& folder, int64_t number) : mark_(folder / ("." + digits_of(number) + ".taken")) {
    std::error_code error;
    mine_ = fs::create_directory(mark_, error);
    if (error && !is_there(mark_)) fail_to_write(folder, error);
  }
  ~Reservation() {
    std::error_code ignored;
    if (mine_) fs::remove(mark_, ignored);
  }
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;
  bool mine() const { return mine_; }

 private:
  fs::path mark_;
  bool mine_ = false;
};

}  // namespace

PicturePlace PicturePlace::in_folder(const fs::path& folder) {
  PicturePlace place;
  place.folder_ = folder;
  check_writable(folder);
  return place;
}

PicturePlace PicturePlace::as_file(const fs::path& file) {
  PicturePlace place;
  place.file_ = file;
  check_writable_file(file);
  return place;
}

fs::path PicturePlace::save(std::span<const uint8_t> png, uint64_t seed) const {
  if (!file_.empty()) {
    write_file(file_, png);
    return file_;
  }
  for (int64_t number = largest_number_in(folder_) + 1;; ++number) {
    const Reservation reservation(folder_, number);
    if (!reservation.mine() || is_used(folder_, number)) continue;
    const fs::path path = folder_ / (digits_of(number) + '-' + std::to_string(seed) + kEnding);
    write_file(path, png);
    return path;
  }
}

}  // namespace fude
