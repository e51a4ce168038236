// The trash of the person's desktop: what is put there can be taken back with any file manager.
#pragma once

#include <filesystem>

namespace fude {

// Moves a file there and returns where it lies then; empty where the system does not tell. Error{io}, and then the file is
// where it was. By the freedesktop.org Trash specification 1.0: the trash in the home's data folder for what lies on the same
// drive, else that of the drive. On Windows the recycle bin.
std::filesystem::path move_to_trash(const std::filesystem::path& file);

}  // namespace fude
