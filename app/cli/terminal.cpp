// With trash.cpp the only file of the program that calls the operating system: POSIX in one half, Win32 in the other.
#include "terminal.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <system_error>

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>
// after windows.h
#include <shellapi.h>
#else
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>
#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif
#endif

namespace fude::terminal {
namespace {

constexpr int kUsualWidth = 80;
constexpr int kCancelled = 130;

std::atomic<bool> stop{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");

}  // namespace

#ifdef _WIN32

namespace {

std::string utf8_from(const wchar_t* wide) {
  const int size = WideCharToMultiByte(CP_UTF8, 0, wide, -1, nullptr, 0, nullptr, nullptr);
  std::string text(static_cast<size_t>(size), '\0');
  WideCharToMultiByte(CP_UTF8, 0, wide, -1, text.data(), size, nullptr, nullptr);
  text.resize(text.size() - 1);  // the zero at the end
  return text;
}

HANDLE handle_of(Stream stream) {
  return GetStdHandle(stream == Stream::input    ? STD_INPUT_HANDLE
                      : stream == Stream::output ? STD_OUTPUT_HANDLE
                                                 : STD_ERROR_HANDLE);
}

BOOL WINAPI on_control(DWORD) {
  if (stop.exchange(true)) std::_Exit(kCancelled);
  return TRUE;
}

}  // namespace

std::vector<std::string> arguments(int, char**) {
  SetConsoleOutputCP(CP_UTF8);
  for (const Stream stream : {Stream::output, Stream::error}) {
    DWORD mode = 0;
    if (GetConsoleMode(handle_of(stream), &mode)) SetConsoleMode(handle_of(stream), mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
  }
  int count = 0;
  wchar_t** wide = CommandLineToArgvW(GetCommandLineW(), &count);
  std::vector<std::string> arguments;
  for (int i = 0; i < count; ++i) arguments.push_back(utf8_from(wide[i]));
  LocalFree(wide);
  return arguments;
}

bool is_terminal(Stream stream) {
  DWORD mode = 0;
  return GetConsoleMode(handle_of(stream), &mode) != 0;
}

bool shows_unicode() { return true; }

int width(Stream stream) {
  CONSOLE_SCREEN_BUFFER_INFO info;
  if (!GetConsoleScreenBufferInfo(handle_of(stream), &info)) return kUsualWidth;
  return info.srWindow.Right - info.srWindow.Left + 1;
}

const std::atomic<bool>& stop_requested() {
  static const bool installed = SetConsoleCtrlHandler(on_control, TRUE) != 0;
  static_cast<void>(installed);
  return stop;
}

std::string environment(const char* name) {
  const std::string narrow(name);
  const wchar_t* value = _wgetenv(std::wstring(narrow.begin(), narrow.end()).c_str());
  return value ? utf8_from(value) : std::string();
}

std::filesystem::path program_folder() {
  std::wstring path(32768, L'\0');  // the longest there is
  path.resize(GetModuleFileNameW(nullptr, path.data(), static_cast<DWORD>(path.size())));
  return std::filesystem::path(path).parent_path();
}

#else

namespace {

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

#endif

}  // namespace fude::terminal
