// Flushing and replacing files by POSIX.
#include <fcntl.h>
#include <unistd.h>

#include "engine/file.h"

namespace fude {

bool flush_to_disk(const std::filesystem::path& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool flushed = fsync(file) == 0;
  close(file);
  return flushed;
}

std::error_code replace_file(const std::filesystem::path& with, const std::filesystem::path& path) {
  std::error_code reason;
  std::filesystem::rename(with, path, reason);
  return reason;
}

std::error_code why_held(const std::filesystem::path&) { return {}; }  // whoever has it open keeps what is replaced

}  // namespace fude
