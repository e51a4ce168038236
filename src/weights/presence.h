// What is there of a model. "It is not there" and "the system does not say" are two answers: a folder that may not be read, or
// a ring of links, is not an absent one. (weights/paths.h asks where either answer will do.)
#pragma once

#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

namespace fude {

// All throw Error{bad_checkpoint} that gives the system's reason where it does not say.
bool is_present(const std::filesystem::path& path);
bool is_present_folder(const std::filesystem::path& path);
std::vector<std::string> names_in(
    const std::filesystem::path& folder);  // of all it holds, sorted, UTF-8; none when it is absent

[[noreturn]] void refuse_unreadable(const std::filesystem::path& path, const std::error_code& reason);

}  // namespace fude
