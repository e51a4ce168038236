// Presence checks that turn an unreadable path into an error.
#include "weights/presence.h"

#include <algorithm>

#include "fude/error.h"
#include "weights/paths.h"
#include "weights/quote.h"

namespace fude {

namespace fs = std::filesystem;

namespace {

PathKind known_kind_of(const fs::path& path) {
  std::error_code reason;
  const PathKind kind = kind_of(path, reason);
  if (kind == PathKind::unknown) refuse_unreadable(path, reason);
  return kind;
}

}  // namespace

bool is_present(const fs::path& path) { return known_kind_of(path) != PathKind::nothing; }
bool is_present_folder(const fs::path& path) { return known_kind_of(path) == PathKind::folder; }

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  if (!is_present_folder(folder)) return names;
  std::error_code reason;
  for (const fs::path& entry : entries_of(folder, reason)) names.push_back(text_of(entry.filename()));
  if (reason) refuse_unreadable(folder, reason);
  std::sort(names.begin(), names.end());
  return names;
}

void refuse_unreadable(const fs::path& path, const std::error_code& reason) {
  throw Error(Code::bad_checkpoint, "cannot read " + shown(path) + ": " + reason.message() +
                                        ". Check that the path is right, and that you may read it and the folders above it.");
}

}  // namespace fude
