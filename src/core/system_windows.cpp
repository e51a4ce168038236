// Asking Windows about memory, the processor, libraries and held folders.
#include <windows.h>

#include "core/system.h"
// after windows.h
#include <psapi.h>

#include <algorithm>
#include <bit>
#include <string>
#include <thread>

namespace fude {

HostMemory host_memory() {
  MEMORYSTATUSEX status{};
  status.dwLength = sizeof status;
  if (!GlobalMemoryStatusEx(&status)) return {};
  return {static_cast<int64_t>(status.ullTotalPhys), static_cast<int64_t>(status.ullAvailPhys)};
}

int usable_cores() {
  DWORD_PTR ours = 0, all = 0;
  if (GetProcessAffinityMask(GetCurrentProcess(), &ours, &all) && ours) return std::popcount(ours);
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));  // of several groups
}

std::optional<ProcessorTime> processor_time() {
  const auto seconds = [](const FILETIME& time) {
    return static_cast<double>(uint64_t{time.dwHighDateTime} << 32 | time.dwLowDateTime) * 1e-7;
  };
  FILETIME idle, kernel, user, created, exited, own_kernel, own_user;  // the kernel's time includes what was idle
  if (!GetSystemTimes(&idle, &kernel, &user)) return {};
  if (!GetProcessTimes(GetCurrentProcess(), &created, &exited, &own_kernel, &own_user)) return {};
  return ProcessorTime{.all = seconds(kernel) - seconds(idle) + seconds(user),
                       .own = seconds(own_kernel) + seconds(own_user),
                       .processors = std::max(1, static_cast<int>(std::thread::hardware_concurrency()))};
}

int64_t process_id() { return GetCurrentProcessId(); }

int64_t resident_memory() {
  PROCESS_MEMORY_COUNTERS counters{};
  if (!GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters)) return 0;
  return static_cast<int64_t>(counters.WorkingSetSize);
}

int64_t peak_memory() {
  PROCESS_MEMORY_COUNTERS counters{};
  if (!GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters)) return 0;
  return static_cast<int64_t>(counters.PeakWorkingSetSize);
}

void* library_function(const char* library, const char* name) {
  const HMODULE loaded = LoadLibraryExA(library, nullptr, LOAD_LIBRARY_SEARCH_SYSTEM32);  // not what lies beside a picture
  return loaded ? reinterpret_cast<void*>(GetProcAddress(loaded, name)) : nullptr;
}

std::string processor_name() {
  char name[128];
  DWORD size = sizeof name;
  if (RegGetValueA(HKEY_LOCAL_MACHINE, "HARDWARE\\DESCRIPTION\\System\\CentralProcessor\\0", "ProcessorNameString",
                   RRF_RT_REG_SZ, nullptr, name, &size) != ERROR_SUCCESS)
    return "processor";
  return name;
}

bool may_use_tiles() {
  constexpr DWORD64 kTileData = DWORD64{1} << 18;
  using Enable = BOOL(WINAPI*)(DWORD64);
  const auto enable = reinterpret_cast<Enable>(library_function("kernel32.dll", "EnableProcessOptionalXStateFeatures"));
  return enable && enable(kTileData);
}

// A file in it that nobody else can open, and that goes with its handle.
std::optional<HeldFolder> HeldFolder::take(const std::filesystem::path& folder) {
  const HANDLE file = CreateFileW((folder / L"lock").c_str(), GENERIC_WRITE, 0, nullptr, CREATE_ALWAYS,
                                  FILE_ATTRIBUTE_HIDDEN | FILE_FLAG_DELETE_ON_CLOSE, nullptr);
  if (file == INVALID_HANDLE_VALUE && GetLastError() == ERROR_SHARING_VIOLATION) return std::nullopt;
  return HeldFolder(reinterpret_cast<intptr_t>(file));
}

HeldFolder::~HeldFolder() {
  if (handle_ != kNone) CloseHandle(reinterpret_cast<HANDLE>(handle_));
}

}  // namespace fude
