// Files that appear whole or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "fude/error.h"
#include "weights/quote.h"

namespace fude {

// The bytes of a regular file. Error{io} when it cannot be read or holds more than `limit` bytes.
std::vector<uint8_t> read_file(const std::filesystem::path& path, uint64_t limit);

// read(bytes of the file), whose errors then name the file. Error{io}.
template <class Read>
auto from_file(const std::filesystem::path& path, uint64_t limit, const Read& read) {
  const std::vector<uint8_t> bytes = read_file(path, limit);
  try {
    return read(bytes);
  } catch (const Error& error) {
    Message message = error.message();
    message.what = shown(path) + ": " + message.what;
    throw Error(error.code(), std::move(message));
  }
}

// Writes to a temporary name in the same folder, then renames; makes the folder when it is missing. Whatever goes wrong (full
// disk, folder not writable, a power cut), no part of the file is left under its name. Error{io}.
void write_file(const std::filesystem::path& path, std::span<const uint8_t> bytes);

// Waits until the bytes of a file are on the disk. False when the system cannot say so, as for some network folders.
bool flush_to_disk(const std::filesystem::path& path);

// Gives the file the name `path`, in place of what has it.
std::error_code replace_file(const std::filesystem::path& with, const std::filesystem::path& path);
// Why the file there cannot be replaced, though its folder may be written: on Windows, another program has it open.
std::error_code why_held(const std::filesystem::path& path);

// Error{io} unless a file can be made in the folder, which is made when missing: asked before the work, not after it.
void check_writable(const std::filesystem::path& folder);
// The same of a file, in place of what is there: not of a folder or a device.
void check_writable_file(const std::filesystem::path& path);

}  // namespace fude
