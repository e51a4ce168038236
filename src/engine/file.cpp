// Writing to a temporary name and renaming, and asking beforehand whether that will work.
#include "engine/file.h"

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <random>
#include <system_error>

#include "fude/error.h"
#include "weights/paths.h"
#include "weights/quote.h"

namespace fs = std::filesystem;

namespace fude {
namespace {

constexpr size_t kBlock = 4096;  // bytes that a full disk does not take, whereas it may take a name

// Standard streams do not promise to say why they failed, but leave errno alone where the system sets it.
std::string reason_of(int error) { return error == 0 ? "the system gives no reason" : std::generic_category().message(error); }

// `what` names the file, or the folder in which none can be made.
[[noreturn]] void fail_to_write(const std::string& what, const fs::path& path, const std::error_code& error) {
  Message message{.what = "cannot write " + what + ": " + (error ? error.message() : "the system gives no reason") +
                          "; nothing was left there",
                  .where = {.file = text_of(path)}};
  if (!error || error == std::errc::no_space_on_device) message.remedies.push_back({Remedy::free_space});
  message.remedies.push_back({Remedy::choose_folder});
  throw Error(Code::io, std::move(message));
}

void check_name(const fs::path& path) {
  std::string why = why_not_replaced(path);
  if (const std::error_code held = why_held(path); why.empty() && held) why = held.message();
  if (!why.empty())
    throw Error(Code::io, {.what = "cannot write " + shown(path) + ": " + why + ". Choose another name.",
                           .where = {.file = text_of(path)}});
}

void make_folder(const fs::path& folder) {
  std::error_code reason;
  if (folder.empty() || make_folders(folder, reason)) return;
  throw Error(Code::io, {.what = "cannot make the folder " + shown(folder) + ": " + reason.message(),
                         .where = {.file = text_of(folder)},
                         .remedies = {{Remedy::choose_folder}}});
}

// A file under a name nobody else uses, removed when it goes out of scope. `what` names it in messages.
class Draft {
 public:
  Draft(const fs::path& target, std::span<const uint8_t> bytes, const std::string& what) : path_(target) {
    char suffix[32];
    std::random_device random;
    std::snprintf(suffix, sizeof suffix, ".%08x%08x.part", static_cast<unsigned>(random()), static_cast<unsigned>(random()));
    path_ += suffix;
    errno = 0;
    std::ofstream file(path_, std::ios::binary | std::ios::trunc);
    if (!file) fail_to_write(what, target, {errno, std::generic_category()});
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    file.close();
    if (!file) {
      const int error = errno;
      remove();
      fail_to_write(what, target, {error, std::generic_category()});
    }
  }
  ~Draft() { remove(); }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  const fs::path& path() const { return path_; }

 private:
  void remove() noexcept {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }
  fs::path path_;
};

}  // namespace

std::vector<uint8_t> read_file(const fs::path& path, uint64_t limit) {
  std::string reason = why_no_file(path);
  const uint64_t size = size_of_file(path).value_or(0);
  if (reason.empty() && size > limit) reason = "it is larger than " + std::to_string(limit >> 20) + " MiB";
  errno = 0;
  std::ifstream file;
  if (reason.empty()) {
    file.open(path, std::ios::binary);
    if (!file) reason = reason_of(errno);
  }
  if (!reason.empty()) {
    throw Error(Code::io,
                {.what = "cannot read " + shown(path) + ": " + reason + ". Check the path and that you may read the file.",
                 .where = {.file = text_of(path)}});
  }
  std::vector<uint8_t> bytes(static_cast<size_t>(size));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<size_t>(file.gcount()));
  return bytes;
}

void write_file(const fs::path& path, std::span<const uint8_t> bytes) {
  make_folder(path.parent_path());
  check_name(path);
  const Draft draft(path, bytes, shown(path));
  flush_to_disk(draft.path());  // else a power cut may leave the name without the bytes
  if (const std::error_code error = replace_file(draft.path(), path)) fail_to_write(shown(path), path, error);
}

void check_writable_file(const fs::path& path) {
  check_writable(path.parent_path());
  check_name(path);
}

void check_writable(const fs::path& folder) {
  make_folder(folder);
  const std::vector<uint8_t> block(kBlock);
  const Draft draft(folder / "fude", block, "into the folder " + shown(folder.empty() ? fs::path(".") : folder));
}

}  // namespace fude
