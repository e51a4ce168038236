// A read-only file in memory. Checkpoints are larger than the memory they may use, so pages can be given back after use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

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

  // Takes the range and the pages that the kernel mapped along with it (up to 2 MiB around) out of the resident set. Reading
  // them again maps them again, so this is safe at any time, also beside other readers.
  void drop(size_t offset, size_t length) const;
  // Starts reading the range ahead of its use.
  void will_need(size_t offset, size_t length) const;

  // Throws Error{io} when the file was changed since it was opened. Reading beyond the end of a file that was cut short ends
  // the process (SIGBUS), so readers ask before they touch the bytes.
  void check_unchanged() const;

 private:
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
