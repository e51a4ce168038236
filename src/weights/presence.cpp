#include "weights/presence.h"

#include <algorithm>

#include "fude/error.h"
#include "weights/text.h"

namespace fude {

namespace fs = std::filesystem;

namespace {

fs::file_type type_of(const fs::path& path) {
  std::error_code reason;
  const fs::file_type type = fs::status(path, reason).type();
  if (type == fs::file_type::none) refuse_unreadable(path, reason);
  return type;
}

}  // namespace

bool is_there(const fs::path& path) { return type_of(path) != fs::file_type::not_found; }
bool is_folder(const fs::path& path) { return type_of(path) == fs::file_type::directory; }

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  if (!is_folder(folder)) return names;
  std::error_code reason;
  for (fs::directory_iterator entry(folder, reason), end; !reason && entry != end; entry.increment(reason))
    names.push_back(text_of(entry->path().filename()));
  if (reason) refuse_unreadable(folder, reason);
  std::sort(names.begin(), names.end());
  return names;
}

void refuse_unreadable(const fs::path& path, const std::error_code& reason) {
  throw Error(Code::bad_checkpoint, "cannot read " + shown(path) + ": " + reason.message() +
                                        ". Check that the path is right, and that you may read it and the folders above it.");
}

}  // namespace fude
