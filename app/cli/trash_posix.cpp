// The trash of the freedesktop.org specification: folders that are moved into by name, with a note of where a file was.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "engine/file.h"
#include "fude/error.h"
#include "studio/local_time.h"
#include "terminal.h"
#include "trash.h"
#include "weights/paths.h"
#include "weights/quote.h"

namespace fs = std::filesystem;

namespace fude {
namespace {

[[noreturn]] void fail(const fs::path& file, const std::string& why) {
  throw Error(Code::io, "cannot move " + shown(file) + " to the trash: " + why +
                            ". It is where it was; delete it yourself, then once more here.");
}

constexpr int kMostNames = 10000;

std::error_code last_error() { return {errno, std::generic_category()}; }

// The drive it lies on, links not followed; 0 where that cannot be told.
dev_t drive_of(const fs::path& path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0 ? info.st_dev : dev_t{0};
}

fs::path top_of_drive(const fs::path& file) {
  fs::path top = file.parent_path();
  while (top.has_relative_path() && drive_of(top.parent_path()) == drive_of(file)) top = top.parent_path();
  return top;
}

// RFC 2396, as the specification wants it.
std::string percent_encoded(const std::string& path) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!~*'()/";
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string text;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (kPlain.find(c) != std::string_view::npos) text += c;
    else text += {'%', kHex[byte >> 4], kHex[byte & 15]};
  }
  return text;
}

// Only its owner's, and no link that leads elsewhere.
bool is_own_folder(const fs::path& folder) {
  struct stat info;
  return lstat(folder.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == getuid();
}

bool make_own_folder(const fs::path& folder) { return mkdir(folder.c_str(), 0700) == 0 || is_own_folder(folder); }

// A trash that is there or can be made; `stored`: how its notes name the file.
struct Trash {
  fs::path folder, stored;
};

fs::path home_trash() {
  if (const std::string data = terminal::environment("XDG_DATA_HOME"); data.starts_with('/')) return path_of(data) / "Trash";
  const std::string home = terminal::environment("HOME");
  return home.empty() ? fs::path() : path_of(home) / ".local/share/Trash";
}

Trash trash_for(const fs::path& file) {
  std::error_code reason;
  if (const fs::path home = home_trash(); !home.empty() && make_folders(home.parent_path(), reason) &&
                                          drive_of(home.parent_path()) == drive_of(file) && make_own_folder(home))
    return {home, file};
  const fs::path top = top_of_drive(file);
  const fs::path stored = file.lexically_relative(top);
  const std::string user = std::to_string(getuid());
  struct stat shared;  // made by who looks after the machine; sticky, so that nobody empties another's
  if (lstat((top / ".Trash").c_str(), &shared) == 0 && S_ISDIR(shared.st_mode) && (shared.st_mode & S_ISVTX) &&
      make_own_folder(top / ".Trash" / user))
    return {top / ".Trash" / user, stored};
  if (make_own_folder(top / (".Trash-" + user))) return {top / (".Trash-" + user), stored};
  fail(file, "there is no trash for it, and none can be made in " + shown(top));
}

// A note under a name that nobody has. True where it was made, whole.
bool make_note(const fs::path& note, const std::string& text) {
  const int out = open(note.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (out < 0) return false;
  const bool written = write(out, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  if (close(out) == 0 && written) return true;
  unlink(note.c_str());
  errno = written ? EIO : error;
  return false;
}

}  // namespace

fs::path move_to_trash(const fs::path& given) {
  const fs::path file = absolute_of(given).lexically_normal();
  const Trash trash = trash_for(file);
  for (const char* part : {"files", "info"})
    if (!make_own_folder(trash.folder / part)) fail(file, "there is no folder " + shown(trash.folder / part) + " of your own");
  const std::string text =
      "[Trash Info]\nPath=" + percent_encoded(trash.stored.string()) + "\nDeletionDate=" + local_time() + '\n';
  for (int i = 1; i < kMostNames; ++i) {
    fs::path name = file.stem();
    if (i > 1) name += '.' + std::to_string(i);
    name += file.extension();
    fs::path note = trash.folder / "info" / name;
    note += ".trashinfo";
    if (!make_note(note, text)) {
      if (errno == EEXIST) continue;
      fail(file, last_error().message());
    }
    const fs::path there = trash.folder / "files" / name;
    std::error_code reason;
    if (kind_of(there) == PathKind::nothing) {  // else somebody's without a note
      fs::rename(file, there, reason);
      if (!reason) return there;
    }
    unlink(note.c_str());
    if (reason) fail(file, reason.message());
  }
  fail(file, "the trash holds too many files of its name");
}

}  // namespace fude
