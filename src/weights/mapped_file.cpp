// Mapping and reading files: the only file of weights/ that calls the operating system, POSIX in one half, Win32 in the other.
#include "weights/mapped_file.h"

#include <algorithm>
#include <limits>
#include <string>
#include <system_error>

#include "fude/error.h"
#include "weights/quote.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#endif

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
    const size_t n = read_some(offset, out);
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

#ifdef _WIN32

namespace {

std::error_code last_error() { return {static_cast<int>(GetLastError()), std::system_category()}; }
HANDLE file_of(std::intptr_t handle) { return reinterpret_cast<HANDLE>(handle); }

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  const HANDLE file =
      CreateFileW(path.c_str(), GENERIC_READ, FILE_SHARE_READ, nullptr, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr);
  if (file == INVALID_HANDLE_VALUE) fail_to_open(path, last_error());
  handle_ = reinterpret_cast<std::intptr_t>(file);
  opened_ = stamp();
  size_ = static_cast<size_t>(opened_.size);
  if (size_ == 0) return;
  const HANDLE mapping = CreateFileMappingW(file, nullptr, PAGE_READONLY, 0, 0, nullptr);
  if (mapping) {
    data_ = static_cast<const std::byte*>(MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0));
    CloseHandle(mapping);  // the view keeps it alive
  }
  if (!data_) {
    const std::error_code reason = last_error();
    CloseHandle(file);
    fail_to_open(path, reason);
  }
}

MappedFile::~MappedFile() {
  if (data_) UnmapViewOfFile(data_);
  CloseHandle(file_of(handle_));
}

MappedFile::Stamp MappedFile::stamp() const {
  BY_HANDLE_FILE_INFORMATION info;
  if (!GetFileInformationByHandle(file_of(handle_), &info)) return {};
  return {static_cast<uint64_t>(info.nFileSizeHigh) << 32 | info.nFileSizeLow,
          static_cast<int64_t>(static_cast<uint64_t>(info.ftLastWriteTime.dwHighDateTime) << 32 |
                               info.ftLastWriteTime.dwLowDateTime)};
}

void MappedFile::drop(size_t offset, size_t length) const {
  const Range range = around(offset, length, kMappedTogether, size_);
  // Unlocking pages that are not locked takes them out of the working set; the call reports an error and does it.
  if (range.length > 0) VirtualUnlock(const_cast<std::byte*>(data_) + range.offset, range.length);
}

size_t MappedFile::read_some(size_t offset, std::span<std::byte> out) const {
  OVERLAPPED where{};
  where.Offset = static_cast<DWORD>(offset);
  where.OffsetHigh = static_cast<DWORD>(uint64_t{offset} >> 32);
  DWORD n = 0;
  const auto wanted = static_cast<DWORD>(std::min<size_t>(out.size(), kReadAtOnce));
  return ReadFile(file_of(handle_), out.data(), wanted, &n, &where) ? n : 0;
}

#else

namespace {

int file_of(std::intptr_t handle) { return static_cast<int>(handle); }

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  // A pipe would block here; without blocking it is refused below.
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) fail_to_open(path, {errno, std::generic_category()});
  handle_ = file;
  opened_ = stamp();
  struct stat info;
  std::error_code reason;
  if (fstat(file, &info) != 0) reason = {errno, std::generic_category()};
  else if (S_ISDIR(info.st_mode)) reason = std::make_error_code(std::errc::is_a_directory);
  else if (!S_ISREG(info.st_mode)) reason = std::make_error_code(std::errc::invalid_seek);  // a pipe or a device
  else if (opened_.size > std::numeric_limits<size_t>::max()) reason = std::make_error_code(std::errc::file_too_large);
  size_ = static_cast<size_t>(opened_.size);
  if (!reason && size_ > 0) {
    void* data = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
    if (data == MAP_FAILED) reason = {errno, std::generic_category()};
    else data_ = static_cast<const std::byte*>(data);
  }
  if (reason) {
    close(file);
    fail_to_open(path, reason);
  }
}

MappedFile::~MappedFile() {
  if (data_) munmap(const_cast<std::byte*>(data_), size_);
  close(file_of(handle_));
}

MappedFile::Stamp MappedFile::stamp() const {
  struct stat info;
  if (fstat(file_of(handle_), &info) != 0) return {};
#ifdef __APPLE__
  const timespec& changed = info.st_mtimespec;
#else
  const timespec& changed = info.st_mtim;
#endif
  return {static_cast<uint64_t>(info.st_size), static_cast<int64_t>(changed.tv_sec) * 1'000'000'000 + changed.tv_nsec};
}

void MappedFile::drop(size_t offset, size_t length) const {
  const Range range = around(offset, length, kMappedTogether, size_);
  if (range.length > 0) madvise(const_cast<std::byte*>(data_) + range.offset, range.length, MADV_DONTNEED);
}

size_t MappedFile::read_some(size_t offset, std::span<std::byte> out) const {
  ssize_t n = 0;
  do n = pread(file_of(handle_), out.data(), std::min(out.size(), kReadAtOnce), static_cast<off_t>(offset));
  while (n < 0 && errno == EINTR);
  return n > 0 ? static_cast<size_t>(n) : 0;
}

#endif

}  // namespace fude
