// The file system questions, asked without exceptions.
#include "weights/paths.h"

#include <future>
#include <thread>
#include <utility>

namespace fs = std::filesystem;

namespace fude {

PathKind kind_of(const fs::path& path) {
  std::error_code reason;
  return kind_of(path, reason);
}

std::string why_no_file(const fs::path& path) {
  std::error_code reason;
  switch (kind_of(path, reason)) {
    case PathKind::file: return {};
    case PathKind::nothing: return "there is no such file";
    case PathKind::folder: return "it is a folder";
    case PathKind::other: return "it is not a regular file";
    case PathKind::unknown: break;
  }
  return reason.message();
}

std::string why_not_replaced(const fs::path& path) {
  return kind_of(path) == PathKind::nothing ? std::string() : why_no_file(path);
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::error_code reason;
  return entries_of(folder, reason);
}

bool make_folders(const fs::path& folder, std::error_code& reason) {
  if (!is_folder(folder)) fs::create_directories(folder, reason);
  if (!is_folder(folder)) {  // false also when another process made it meanwhile
    if (!reason) reason = std::make_error_code(std::errc::not_a_directory);
    return false;
  }
  reason.clear();
  return true;
}

fs::path absolute_of(const fs::path& path) {
  std::error_code reason;
  fs::path absolute = fs::absolute(path, reason);
  return reason ? path : absolute;
}

bool answers(const std::vector<fs::path>& paths, std::chrono::milliseconds patience) {
  std::promise<void> promise;
  const std::future<void> answered = promise.get_future();
  const auto ask = [](const std::vector<fs::path>& asked, std::promise<void> done) {
    for (const fs::path& path : asked) static_cast<void>(kind_of(path));
    done.set_value();
  };
  try {
    std::thread(ask, paths, std::move(promise)).detach();
  } catch (const std::system_error&) {  // no thread: not known, so assume it answers
    return true;
  }
  return answered.wait_for(patience) == std::future_status::ready;
}

}  // namespace fude
