// Questions to the file system that never throw: a path may be unreadable, in a loop of links, too long, a pipe, or on a drive
// that is gone. Nothing is opened, since opening a pipe or a device could block forever. (Functions of std::filesystem throw
// unless they are given an error code; its iterators throw whatever they are given.)
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

namespace fude {

enum class PathKind { nothing, file, folder, other, unknown };

// What the path is, links followed. Unknown: the system refused to say, for `reason`.
PathKind kind_of(const std::filesystem::path& path, std::error_code& reason);
PathKind kind_of(const std::filesystem::path& path);
inline bool is_file(const std::filesystem::path& path) { return kind_of(path) == PathKind::file; }
inline bool is_folder(const std::filesystem::path& path) { return kind_of(path) == PathKind::folder; }
// Whether it exists for sure.
inline bool is_there(const std::filesystem::path& path) {
  const PathKind kind = kind_of(path);
  return kind != PathKind::nothing && kind != PathKind::unknown;
}

// Why it is not a regular file that could be read: "there is no such file", "it is a folder", "Permission denied". Empty: it is
// one.
std::string why_no_file(const std::filesystem::path& path);
// Why no file can take its place. Empty: there is a regular file or nothing.
std::string why_not_replaced(const std::filesystem::path& path);

std::optional<uint64_t> size_of_file(const std::filesystem::path& path);  // bytes; none where that cannot be told

// The entries of a folder, in no order. `reason` is set when it cannot be listed to the end.
std::vector<std::filesystem::path> entries_of(const std::filesystem::path& folder, std::error_code& reason);
std::vector<std::filesystem::path> entries_of(const std::filesystem::path& folder);

// Makes it and those above it. False: it is not there, and `reason` says why.
bool make_folders(const std::filesystem::path& folder, std::error_code& reason);

// The path itself where the current folder is gone.
std::filesystem::path absolute_of(const std::filesystem::path& path);

// Whether the system answers about the paths within this time. A network drive that is gone blocks whoever asks, so a detached
// thread asks.
bool answers(const std::vector<std::filesystem::path>& paths, std::chrono::milliseconds patience);

}  // namespace fude
