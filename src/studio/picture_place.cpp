#include "studio/picture_place.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <system_error>

#include "console.h"
#include "engine/file.h"
#include "fude/error.h"
#include "weights/paths.h"
#include "weights/quote.h"

namespace fs = std::filesystem;

namespace fude {
namespace {

constexpr const char* kEnding = ".png";
constexpr std::string_view kPictureEndings[] = {kEnding, ".jpg", ".jpeg", ".webp"};

[[noreturn]] void refuse(const std::string& message) { throw Error(Code::bad_request, message); }

// In small letters: ".png".
std::string ending_of(const fs::path& path) {
  std::string ending = text_of(path.extension());
  for (char& c : ending) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return ending;
}

// The number that a file name starts with, 0 when it starts otherwise.
int64_t number_of(const fs::path& file) {
  const std::string name = text_of(file.filename());
  int64_t number = 0;
  const auto end = std::from_chars(name.data(), name.data() + name.size(), number).ptr;
  return end != name.data() + name.size() && *end == '-' ? number : 0;
}

[[noreturn]] void fail_to_write(const fs::path& folder, const std::error_code& reason) {
  throw Error(Code::io, "cannot write in " + shown(folder) + ": " + reason.message() +
                            ". Free some space or choose another folder with --out.");
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

std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", std::localtime(&now));
  return text;
}

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

PicturePlace::PicturePlace(const OutputPlace& place, int64_t pictures) {
  if (place.file.empty()) {
    folder_ = folder_of_today(place.folder);
    check_writable(folder_);
    return;
  }
  file_ = path_of(place.file);
  if (pictures > 1)
    refuse("--output is one file, and " + std::to_string(pictures) + " pictures are asked for. Name a folder with --out.");
  check_writable_file(file_);
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

std::string sha256_of(std::span<const uint8_t> bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1) {
    throw Error(Code::io, "OpenSSL cannot compute SHA-256. Check its configuration.");
  }
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    char hex[3];
    std::snprintf(hex, sizeof hex, "%02x", digest[i]);
    text += hex;
  }
  return text;
}

}  // namespace fude
