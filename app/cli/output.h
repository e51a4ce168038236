// Where a command's pictures go, as options say it, and how their paths are printed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "fude/error.h"
#include "options.h"
#include "studio/picture_place.h"

namespace fude {

// `out`/YYYY-MM-DD of today. Error{bad_request} where `out` is the name of a picture.
std::filesystem::path folder_of_today(const std::string& out);

// As the command line says it.
struct OutputPlace {
  std::string folder = "outputs";  // --out
  std::string file;                // --output; empty: a number in the folder
};
void add_place_options(Options& options, OutputPlace& place);
// Error{io} at once when nothing can be written there, Error{bad_request} when it is one file and the pictures are several.
PicturePlace picture_place(const OutputPlace& place, int64_t pictures);

// The paths of a command's pictures, printed when they are finished. Where they cannot be printed, the pictures go on.
class FinishedPaths {
 public:
  explicit FinishedPaths(bool prints) : prints_(prints) {}

  void add(const std::filesystem::path& path);
  bool empty() const { return paths_.empty(); }
  int64_t count() const { return static_cast<int64_t>(paths_.size()); }
  std::string kept() const;  // "finished and kept: …"
  void check() const;        // at the end: Error{io} where some could not be printed

 private:
  const bool prints_;
  std::vector<std::string> paths_;
  std::optional<Error> failure_;
};

}  // namespace fude
