// The terminal, signals and the environment of a POSIX system.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <system_error>

#include "terminal.h"
#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

namespace fude::terminal {
namespace {

constexpr int kUsualWidth = 80;
constexpr int kCancelled = 130;

std::atomic<bool> stop{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");

int file_of(Stream stream) {
  return stream == Stream::input ? STDIN_FILENO : stream == Stream::output ? STDOUT_FILENO : STDERR_FILENO;
}

std::atomic<bool> asked_to_end{false};

// A terminal that closes hangs up more than once, and a system that shuts down sends both; only a person presses Ctrl-C twice.
extern "C" void on_signal(int signal) {
  stop = true;
  if (signal == SIGINT && asked_to_end.exchange(true)) std::_Exit(kCancelled);
}

}  // namespace

std::vector<std::string> arguments(int argc, char** argv) {
  // Else the next file that is opened would be standard output, and what is printed would go into it. What stands in for a
  // stream that was closed cannot be written to, which print tells.
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(stream, F_GETFD) == -1 && errno == EBADF && open("/dev/null", O_RDONLY) != stream) std::_Exit(1);
  std::signal(SIGPIPE, SIG_IGN);  // who no longer reads the paths or the notes costs no picture
  return {argv, argv + argc};
}

std::string missing_library() { return {}; }

void end_at_once(int code) {
  std::fflush(nullptr);
  std::_Exit(code);
}

bool is_terminal(Stream stream) { return isatty(file_of(stream)) != 0; }

bool shows_unicode() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {  // the first that is set decides
    const std::string locale = environment(name);
    if (!locale.empty()) {
      return locale.find("UTF-8") != std::string::npos || locale.find("utf8") != std::string::npos ||
             locale.find("UTF8") != std::string::npos || locale.find("utf-8") != std::string::npos;
    }
  }
  return false;
}

int width(Stream stream) {
  winsize size{};
  if (ioctl(file_of(stream), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kUsualWidth;
  return size.ws_col;
}

const std::atomic<bool>& stop_requested() {
  static const bool installed = [] {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
      if (std::signal(signal, on_signal) == SIG_IGN) std::signal(signal, SIG_IGN);  // as nohup and background shells ask
    }
    return true;
  }();
  static_cast<void>(installed);
  return stop;
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::vector<std::pair<std::string, std::string>> facts() {
  std::vector<std::pair<std::string, std::string>> facts;
  if (utsname names{}; uname(&names) == 0)
    facts = {{"system", names.sysname}, {"release", names.release}, {"version", names.version}, {"machine", names.machine}};
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG", "TERM"}) facts.emplace_back(name, environment(name));
  return facts;
}

std::filesystem::path program_folder() {
  std::error_code unknown;
#ifdef __APPLE__
  char path[4096];
  uint32_t size = sizeof path;
  if (_NSGetExecutablePath(path, &size) != 0) return {};
  return std::filesystem::canonical(path, unknown).parent_path();
#else
  return std::filesystem::read_symlink("/proc/self/exe", unknown).parent_path();
#endif
}

}  // namespace fude::terminal
