// Asking what a path is, how large a file and what a folder holds, of a POSIX file system.
#include "weights/paths.h"

namespace fs = std::filesystem;

namespace fude {

PathKind kind_of(const fs::path& path, std::error_code& reason) {
  const fs::file_type type = fs::status(path, reason).type();
  if (type == fs::file_type::none) return PathKind::unknown;
  reason.clear();
  switch (type) {
    case fs::file_type::not_found: return PathKind::nothing;
    case fs::file_type::regular: return PathKind::file;
    case fs::file_type::directory: return PathKind::folder;
    default: return PathKind::other;
  }
}

std::optional<uint64_t> size_of_file(const fs::path& path) {
  std::error_code reason;
  const uintmax_t size = fs::file_size(path, reason);
  return reason ? std::nullopt : std::optional<uint64_t>(size);
}

std::vector<fs::path> entries_of(const fs::path& folder, std::error_code& reason) {
  std::vector<fs::path> entries;
  fs::directory_iterator entry(folder, reason);
  for (; !reason && entry != fs::directory_iterator(); entry.increment(reason)) entries.push_back(entry->path());
  return entries;
}

}  // namespace fude
