#include "output.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <system_error>

#include "engine/file.h"
#include "fude/error.h"
#include "weights/text.h"

namespace fs = std::filesystem;

namespace fude {
namespace {

// The number that a file name starts with, 0 when it starts otherwise.
int64_t number_of(const fs::path& file) {
  const std::string name = text_of(file.filename());
  int64_t number = 0;
  const auto end = std::from_chars(name.data(), name.data() + name.size(), number).ptr;
  return end != name.data() + name.size() && *end == '-' ? number : 0;
}

int64_t largest_number_in(const fs::path& folder) {
  int64_t largest = 0;
  for (const fs::directory_entry& file : fs::directory_iterator(folder)) largest = std::max(largest, number_of(file.path()));
  return largest;
}

bool is_used(const fs::path& folder, int64_t number) {
  for (const fs::directory_entry& file : fs::directory_iterator(folder))
    if (number_of(file.path()) == number) return true;
  return false;
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
    if (error && !fs::exists(mark_)) {
      throw Error(Code::io, "cannot write in " + shown(folder) + ": " + error.message() +
                                ". Free some space or choose another folder with --out.");
    }
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

PictureFolder::PictureFolder(const std::string& root) : folder_(path_of(root) / today()) { check_writable(folder_); }

fs::path PictureFolder::save(std::span<const uint8_t> png, uint64_t seed) {
  for (int64_t number = largest_number_in(folder_) + 1;; ++number) {
    const Reservation reservation(folder_, number);
    if (!reservation.mine() || is_used(folder_, number)) continue;
    const fs::path path = folder_ / (digits_of(number) + '-' + std::to_string(seed) + ".png");
    write_file(path, png);
    return path;
  }
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
