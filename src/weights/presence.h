// Which files of a model exist. "Absent" and "unreadable" are two answers: a folder without read permission, or a loop of
// links, is an error, not an absent folder. (weights/paths.h is for callers to whom both are the same.)
#pragma once

#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

namespace fude {

// All throw Error{bad_checkpoint} with the system's reason when the path is unreadable.
bool is_present(const std::filesystem::path& path);
bool is_present_folder(const std::filesystem::path& path);
std::vector<std::string> names_in(
    const std::filesystem::path& folder);  // of its entries, sorted, UTF-8; none when it is absent

[[noreturn]] void refuse_unreadable(const std::filesystem::path& path, const std::error_code& reason);

}  // namespace fude
