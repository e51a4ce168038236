// Mapping and reading files on Windows.
#include <windows.h>

#include "weights/mapped_file.h"

namespace fude {

namespace {

std::error_code last_error() { return {static_cast<int>(GetLastError()), std::system_category()}; }
HANDLE file_of(std::intptr_t handle) { return reinterpret_cast<HANDLE>(handle); }

}  // namespace

std::error_code MappedFile::open() {
  const HANDLE file =
      CreateFileW(path_.c_str(), GENERIC_READ, FILE_SHARE_READ, nullptr, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr);
  if (file == INVALID_HANDLE_VALUE) return last_error();
  handle_ = reinterpret_cast<std::intptr_t>(file);
  opened_ = stamp();
  size_ = static_cast<size_t>(opened_.size);
  if (size_ == 0) return {};
  const HANDLE mapping = CreateFileMappingW(file, nullptr, PAGE_READONLY, 0, 0, nullptr);
  if (mapping) {
    data_ = static_cast<const std::byte*>(MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0));
    CloseHandle(mapping);  // the view keeps it alive
  }
  if (data_) return {};
  const std::error_code reason = last_error();
  CloseHandle(file);
  return reason;
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

void MappedFile::drop_pages(size_t offset, size_t length) const {
  // Unlocking pages that are not locked takes them out of the working set; the call reports an error and does it.
  VirtualUnlock(const_cast<std::byte*>(data_) + offset, length);
}

size_t MappedFile::read_some(size_t offset, std::span<std::byte> out) const {
  OVERLAPPED where{};
  where.Offset = static_cast<DWORD>(offset);
  where.OffsetHigh = static_cast<DWORD>(uint64_t{offset} >> 32);
  DWORD n = 0;
  return ReadFile(file_of(handle_), out.data(), static_cast<DWORD>(out.size()), &n, &where) ? n : 0;
}

}  // namespace fude
