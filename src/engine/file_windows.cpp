// Flushing and replacing files on Windows, where a file that somebody has open cannot be replaced.
#include <windows.h>

#include "engine/file.h"

namespace fude {
namespace {

// Search indexes and virus scanners open what is new, for moments.
constexpr int kTries = 20;
constexpr DWORD kMillisecondsBetween = 50;

std::error_code last_error() { return {static_cast<int>(GetLastError()), std::system_category()}; }

}  // namespace

bool flush_to_disk(const std::filesystem::path& path) {
  const HANDLE file = CreateFileW(path.c_str(), GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, nullptr, OPEN_EXISTING,
                                  FILE_ATTRIBUTE_NORMAL, nullptr);
  if (file == INVALID_HANDLE_VALUE) return false;
  const bool flushed = FlushFileBuffers(file) != 0;
  CloseHandle(file);
  return flushed;
}

std::error_code replace_file(const std::filesystem::path& with, const std::filesystem::path& path) {
  for (int left = kTries;; --left) {
    if (MoveFileExW(with.c_str(), path.c_str(), MOVEFILE_REPLACE_EXISTING)) return {};
    const DWORD error = GetLastError();
    const bool may_pass = error == ERROR_SHARING_VIOLATION || error == ERROR_ACCESS_DENIED;
    if (!may_pass || left == 0) return {static_cast<int>(error), std::system_category()};
    Sleep(kMillisecondsBetween);
  }
}

std::error_code why_held(const std::filesystem::path& path) {
  const HANDLE file = CreateFileW(path.c_str(), DELETE, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr,
                                  OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr);
  if (file == INVALID_HANDLE_VALUE) return GetLastError() == ERROR_FILE_NOT_FOUND ? std::error_code() : last_error();
  CloseHandle(file);
  const DWORD attributes = GetFileAttributesW(path.c_str());
  const bool is_read_only = attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_READONLY) != 0;
  return is_read_only ? std::error_code(ERROR_ACCESS_DENIED, std::system_category()) : std::error_code();
}

}  // namespace fude
