// Mapping and reading files by POSIX.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>

#include "weights/mapped_file.h"

namespace fude {

namespace {

int file_of(std::intptr_t handle) { return static_cast<int>(handle); }

}  // namespace

std::error_code MappedFile::open() {
  // A pipe would block here; without blocking it is refused below.
  const int file = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return {errno, std::generic_category()};
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
  if (reason) close(file);
  return reason;
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

void MappedFile::drop_pages(size_t offset, size_t length) const {
  madvise(const_cast<std::byte*>(data_) + offset, length, MADV_DONTNEED);
}

size_t MappedFile::read_some(size_t offset, std::span<std::byte> out) const {
  ssize_t n = 0;
  do n = pread(file_of(handle_), out.data(), out.size(), static_cast<off_t>(offset));
  while (n < 0 && errno == EINTR);
  return n > 0 ? static_cast<size_t>(n) : 0;
}

}  // namespace fude
