// The console, its control events and the environment of Windows.
#include <windows.h>

#include "terminal.h"
// after windows.h
#include <fcntl.h>
#include <io.h>
#include <shellapi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string_view>
#include <system_error>

namespace fude::terminal {
namespace {

constexpr int kUsualWidth = 80;
constexpr int kCancelled = 130;

std::atomic<bool> stop{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");

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

// What the console was set to before, which it is set back to: the shell goes on with it.
struct Before {
  UINT code_page = 0;
  std::map<Stream, DWORD> modes;
} before;

void give_back() {
  for (const auto& [stream, mode] : before.modes) SetConsoleMode(handle_of(stream), mode);
  if (before.code_page != 0) SetConsoleOutputCP(before.code_page);
}

BOOL WINAPI on_control(DWORD event) {
  const bool again = stop.exchange(true);
  if (event == CTRL_C_EVENT || event == CTRL_BREAK_EVENT) {
    if (again) end_at_once(kCancelled);
    return TRUE;
  }
  // The window closes, the person logs off or the system shuts down: the process ends when this returns, else some seconds
  // later.
  Sleep(INFINITE);
  return TRUE;
}

}  // namespace

std::vector<std::string> arguments(int, char**) {
  before.code_page = GetConsoleOutputCP();
  SetConsoleOutputCP(CP_UTF8);
  for (const Stream stream : {Stream::output, Stream::error}) {
    DWORD mode = 0;
    if (!GetConsoleMode(handle_of(stream), &mode)) continue;
    before.modes[stream] = mode;
    SetConsoleMode(handle_of(stream), mode | ENABLE_PROCESSED_OUTPUT | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
  }
  std::atexit(give_back);
  for (std::FILE* stream : {stdout, stderr}) _setmode(_fileno(stream), _O_BINARY);  // lines end as everywhere else
  int count = 0;
  wchar_t** wide = CommandLineToArgvW(GetCommandLineW(), &count);
  std::vector<std::string> arguments;
  for (int i = 0; i < count; ++i) arguments.push_back(utf8_from(wide[i]));
  LocalFree(wide);
  return arguments;
}

std::string missing_library() {
  for (std::string_view left = FUDE_DLLS; !left.empty();) {  // "dnnl.dll,vcomp140.dll"
    const std::string_view name = left.substr(0, left.find(','));
    left.remove_prefix(std::min(left.size(), name.size() + 1));
    const std::filesystem::path file(name);
    std::error_code unknown;
    if (!std::filesystem::exists(program_folder() / file, unknown) && !LoadLibraryW(file.c_str())) return std::string(name);
  }
  return {};
}

void end_at_once(int code) {
  std::fflush(nullptr);
  give_back();
  std::_Exit(code);
}

// A console that shows colours and moves its cursor, as all do since Windows 10.
bool is_terminal(Stream stream) {
  DWORD mode = 0;
  if (!GetConsoleMode(handle_of(stream), &mode)) return false;
  return stream == Stream::input || (mode & ENABLE_VIRTUAL_TERMINAL_PROCESSING) != 0;
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

std::vector<std::pair<std::string, std::string>> facts() {
  std::vector<std::pair<std::string, std::string>> facts;
  const HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");
  OSVERSIONINFOW version{};  // GetVersionEx tells old programs what they want to hear
  version.dwOSVersionInfoSize = sizeof version;
  using Ask = LONG(WINAPI*)(OSVERSIONINFOW*);
  if (const auto ask = reinterpret_cast<Ask>(reinterpret_cast<void*>(GetProcAddress(ntdll, "RtlGetVersion")));
      ask && ask(&version) == 0)
    facts.emplace_back("Windows", std::to_string(version.dwMajorVersion) + '.' + std::to_string(version.dwMinorVersion) + '.' +
                                      std::to_string(version.dwBuildNumber));
  if (GetProcAddress(ntdll, "wine_get_version")) facts.emplace_back("Wine", "yes");
  facts.emplace_back("code page of programs", std::to_string(GetACP()));
  facts.emplace_back("code page of the console before", std::to_string(before.code_page));
  facts.emplace_back("code page of the console", std::to_string(GetConsoleOutputCP()));
  for (const auto& [stream, name] : {std::pair{Stream::output, "output"}, std::pair{Stream::error, "error"}}) {
    DWORD mode = 0;
    const bool is_console = GetConsoleMode(handle_of(stream), &mode) != 0;
    facts.emplace_back(std::string("console mode of standard ") + name, is_console ? std::to_string(mode) : "not a console");
  }
  DWORD long_paths = 0, size = sizeof long_paths;
  RegGetValueW(HKEY_LOCAL_MACHINE, L"SYSTEM\\CurrentControlSet\\Control\\FileSystem", L"LongPathsEnabled", RRF_RT_REG_DWORD,
               nullptr, &long_paths, &size);
  facts.emplace_back("long paths", long_paths ? "on" : "off");
  return facts;
}

std::filesystem::path program_folder() {
  std::wstring path(32768, L'\0');  // the longest there is
  path.resize(GetModuleFileNameW(nullptr, path.data(), static_cast<DWORD>(path.size())));
  return std::filesystem::path(path).parent_path();
}

}  // namespace fude::terminal
