// A read-only file: headers are parsed in the mapping, weights are copied out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <system_error>

namespace fude {

class MappedFile {
 public:
  // Throws Error{bad_checkpoint} when the file cannot be opened or mapped.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  size_t size() const { return size_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }

  // Copies bytes from `offset` on, without mapping pages: faster than touching them, and nothing to give back. A file that was
  // changed or cut short since it was opened is Error{io}. Several threads may read at once.
  void read(size_t offset, std::span<std::byte> out) const;

  // Takes the range and the pages that the kernel mapped along with it (up to 2 MiB around) out of the resident set. Reading
  // them again maps them again, so this is safe at any time, also beside other readers.
  void drop(size_t offset, size_t length) const;

  // Throws Error{io} when the file was changed since it was opened. Touching mapped bytes beyond the end of a file that was cut
  // short ends the process (SIGBUS), so who does asks before.
  void check_unchanged() const;

 private:
  // What differs between systems. open() sets the members below and keeps nothing open where it fails.
  std::error_code open();
  size_t read_some(size_t offset, std::span<std::byte> out) const;  // 0: at the end, or failed
  void drop_pages(size_t offset, size_t length) const;

  struct Stamp {
    uint64_t size = 0;
    int64_t changed = 0;  // time of the last write, in the unit of the system
    bool operator==(const Stamp&) const = default;
  };
  Stamp stamp() const;

  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  Stamp opened_;
  std::intptr_t handle_ = -1;
};

}  // namespace fude
