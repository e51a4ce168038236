// What reading and dropping parts of a file mean, whatever the system.
#include "weights/mapped_file.h"

#include <algorithm>
#include <string>

#include "fude/error.h"
#include "weights/quote.h"

namespace fude {

namespace {

[[noreturn]] void fail_to_open(const std::filesystem::path& path, const std::error_code& reason) {
  throw Error(Code::bad_checkpoint, "cannot read " + shown(path) + ": " + reason.message() +
                                        ". Check that the path is right and that you may read the file.");
}

struct Range {
  size_t offset, length;
};

// The range, rounded outwards to multiples of `unit` within the file.
Range around(size_t offset, size_t length, size_t unit, size_t size) {
  const size_t begin = std::min(offset, size);
  const size_t end = begin + std::min(length, size - begin);
  const size_t first = begin / unit * unit;
  const size_t last = std::min(size, (end + unit - 1) / unit * unit);
  return begin < end ? Range{first, last - first} : Range{0, 0};
}

// Touching one byte makes the kernel map up to a large folio around it: measured 2 MiB on Linux 6.18 with ext4, where dropping
// only the pages inside each range left 0.7 GiB of a 16 GB model behind.
constexpr size_t kMappedTogether = 2 << 20;
constexpr size_t kReadAtOnce = size_t{1} << 30;  // what every system takes in one call

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  if (const std::error_code reason = open()) fail_to_open(path, reason);
}

void MappedFile::check_unchanged() const {
  const Stamp now = stamp();
  if (now == opened_) return;
  const std::string how = now.size == opened_.size
                              ? "written again"
                              : "it had " + std::to_string(opened_.size) + " bytes, now " + std::to_string(now.size);
  throw Error(Code::io,
              {.what = shown(path_) + " was changed while it was in use (" + how + "). Start again when the file is complete.",
               .where = {.file = text_of(path_)}});
}

void MappedFile::read(size_t offset, std::span<std::byte> out) const {
  check_unchanged();
  while (!out.empty()) {
    const size_t n = read_some(offset, out.first(std::min(out.size(), kReadAtOnce)));
    if (n == 0) {
      check_unchanged();
      throw Error(Code::io, {.what = "cannot read byte " + std::to_string(offset) + " of " + shown(path_) +
                                     ". Check the disk it lies on.",
                             .where = {.file = text_of(path_)},
                             .remedies = {{Remedy::check_model}}});
    }
    offset += n;
    out = out.subspan(n);
  }
}

void MappedFile::drop(size_t offset, size_t length) const {
  const Range range = around(offset, length, kMappedTogether, size_);
  if (range.length > 0) drop_pages(range.offset, range.length);
}

}  // namespace fude
