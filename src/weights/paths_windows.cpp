// Asking what a path is, how large a file and what a folder holds, of Windows itself: the C library below std::filesystem takes
// no paths of more than 259 characters, and links for what they lead to.
#include <windows.h>

#include "weights/paths.h"

namespace fs = std::filesystem;

namespace fude {
namespace {

std::error_code error_of(DWORD error) { return {static_cast<int>(error), std::system_category()}; }

// Closes what it holds.
class Handle {
 public:
  explicit Handle(const fs::path& path)
      : handle_(CreateFileW(path.c_str(), 0, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr, OPEN_EXISTING,
                            FILE_FLAG_BACKUP_SEMANTICS, nullptr)) {}
  ~Handle() {
    if (handle_ != INVALID_HANDLE_VALUE) CloseHandle(handle_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  // Of what links lead to; none where that cannot be told, for the reason of GetLastError.
  std::optional<BY_HANDLE_FILE_INFORMATION> information() const {
    BY_HANDLE_FILE_INFORMATION information;
    if (handle_ == INVALID_HANDLE_VALUE || !GetFileInformationByHandle(handle_, &information)) return std::nullopt;
    return information;
  }

 private:
  HANDLE handle_;
};

PathKind kind_of_attributes(DWORD attributes) {
  if (attributes & FILE_ATTRIBUTE_DIRECTORY) return PathKind::folder;
  return attributes & FILE_ATTRIBUTE_DEVICE ? PathKind::other : PathKind::file;
}

PathKind kind_of_failure(std::error_code& reason) {
  const DWORD error = GetLastError();
  for (const DWORD absent : {ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND, ERROR_INVALID_NAME, ERROR_BAD_PATHNAME})
    if (error == absent) return PathKind::nothing;
  reason = error_of(error);
  return PathKind::unknown;
}

}  // namespace

PathKind kind_of(const fs::path& path, std::error_code& reason) {
  reason.clear();
  const DWORD attributes = GetFileAttributesW(path.c_str());
  if (attributes == INVALID_FILE_ATTRIBUTES) return kind_of_failure(reason);
  if (!(attributes & FILE_ATTRIBUTE_REPARSE_POINT)) return kind_of_attributes(attributes);
  const auto information = Handle(path).information();
  return information ? kind_of_attributes(information->dwFileAttributes) : kind_of_failure(reason);
}

std::optional<uint64_t> size_of_file(const fs::path& path) {
  const auto information = Handle(path).information();
  if (!information || information->dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) return std::nullopt;
  return uint64_t{information->nFileSizeHigh} << 32 | information->nFileSizeLow;
}

std::vector<fs::path> entries_of(const fs::path& folder, std::error_code& reason) {
  reason.clear();
  std::vector<fs::path> entries;
  WIN32_FIND_DATAW found;
  const HANDLE search = FindFirstFileW((folder / L"*").c_str(), &found);
  if (search == INVALID_HANDLE_VALUE) {
    reason = error_of(GetLastError());
    return entries;
  }
  do {
    const std::wstring_view name = found.cFileName;
    if (name != L"." && name != L"..") entries.push_back(folder / name);
  } while (FindNextFileW(search, &found));
  if (const DWORD error = GetLastError(); error != ERROR_NO_MORE_FILES) reason = error_of(error);
  FindClose(search);
  return entries;
}

}  // namespace fude
