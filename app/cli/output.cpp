// The options of where pictures go, and printing their paths.
#include "output.h"

#include <algorithm>
#include <iterator>

#include "console.h"
#include "core/characters.h"
#include "engine/file.h"
#include "fude/error.h"
#include "studio/local_time.h"
#include "weights/paths.h"
#include "weights/quote.h"

namespace fs = std::filesystem;

namespace fude {
namespace {

constexpr const char* kEnding = ".png";
constexpr std::string_view kPictureEndings[] = {kEnding, ".jpg", ".jpeg", ".webp"};

[[noreturn]] void refuse(const std::string& message) { throw Error(Code::bad_request, message); }

// In small letters: ".png".
std::string ending_of(const fs::path& path) { return lower_case(text_of(path.extension())); }

}  // namespace

fs::path folder_of_today(const std::string& out) {
  const fs::path folder = path_of(out);
  const std::string ending = ending_of(folder);
  const bool is_picture =
      std::find(std::begin(kPictureEndings), std::end(kPictureEndings), ending) != std::end(kPictureEndings);
  if (is_picture && !is_folder(folder))
    refuse("--out takes a folder, and " + shown(folder) +
           " is the name of a picture. Name a folder; fude generate takes one file as -o " + out + '.');
  return folder / today();
}

void add_place_options(Options& options, OutputPlace& place) {
  const char* result = "Result";
  options.add_text(result, "--out", "FOLDER", "pictures are FOLDER/YYYY-MM-DD/NNNNN-SEED.png, default outputs", place.folder);
  options.add(
      result, "--output,-o", "FILE.png", "one picture into this file, in place of what is there", [&](const std::string& file) {
        if (options.given("--out")) refuse("--out and --output are two places. Give one of them.");
        if (ending_of(path_of(file)) != kEnding)
          refuse("--output " + shown(file) +
                 " is not the name of a PNG file, the only kind that fude writes. Write it like -o cat" + kEnding + '.');
        place.file = file;
      });
}

PicturePlace picture_place(const OutputPlace& place, int64_t pictures) {
  if (place.file.empty()) return PicturePlace::in_folder(folder_of_today(place.folder));
  if (pictures > 1)
    refuse("--output is one file, and " + std::to_string(pictures) + " pictures are asked for. Name a folder with --out.");
  return PicturePlace::as_file(path_of(place.file));
}

void FinishedPaths::add(const fs::path& path) {
  paths_.push_back(text_of(path));
  if (!prints_ || failure_) return;
  try {
    print(paths_.back() + '\n');
  } catch (const Error& error) {
    failure_ = error;
  }
}

std::string FinishedPaths::kept() const {
  std::string text = paths_.empty() ? "no picture was finished" : "finished and kept:";
  for (const std::string& path : paths_) text += ' ' + path;
  return text;
}

void FinishedPaths::check() const {
  if (failure_) throw Error(failure_->code(), std::string(failure_->what()) + " The pictures are " + kept() + '.');
}

}  // namespace fude
