// Asking /proc and the system's calls about memory, the processor, libraries and held folders.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <numeric>
#include <sstream>
#include <thread>

#include "core/cgroups.h"
#include "core/system.h"

#ifdef __linux__
#include <sched.h>
#endif
#if defined(__linux__) && defined(__x86_64__)
#include <sys/syscall.h>
#endif

namespace fude {

namespace {

// The text after "KEY:" in a file of such lines, as Linux keeps them under /proc.
std::string field(const char* file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(key)) {
      const size_t colon = line.find(':');
      const size_t begin = line.find_first_not_of(" \t", colon + 1);
      return colon == std::string::npos || begin == std::string::npos ? "" : line.substr(begin);
    }
  return "";
}

int64_t kibibytes(const char* file, const std::string& key) {
  std::istringstream text(field(file, key));
  int64_t n = 0;
  text >> n;
  return n * 1024;
}

constexpr const char* kControlGroups = "/sys/fs/cgroup";

std::string own_control_groups() {
  std::ifstream groups("/proc/self/cgroup");
  return std::string(std::istreambuf_iterator<char>(groups), {});
}

int cores_of_machine() {
#ifdef __linux__
  cpu_set_t own;  // not the size of a machine with more than 1024 processors
  if (sched_getaffinity(0, sizeof own, &own) == 0) return std::max(1, CPU_COUNT(&own));
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

HostMemory host_memory() {
  return within_control_groups({kibibytes("/proc/meminfo", "MemTotal"), kibibytes("/proc/meminfo", "MemAvailable")},
                               kControlGroups, own_control_groups());
}

int usable_cores() { return within_control_groups(cores_of_machine(), kControlGroups, own_control_groups()); }

std::optional<ProcessorTime> processor_time() {
  std::ifstream in("/proc/stat");  // "cpu", then ticks of: user, nice, system, idle, iowait, irq, softirq, steal
  std::string cpu;
  std::array<double, 8> ticks;
  if (!(in >> cpu) || cpu != "cpu") return {};
  for (double& each : ticks)
    if (!(in >> each)) return {};
  rusage usage{};
  const long processors = sysconf(_SC_NPROCESSORS_ONLN), ticks_of_second = sysconf(_SC_CLK_TCK);
  if (getrusage(RUSAGE_SELF, &usage) != 0 || processors < 1 || ticks_of_second < 1) return {};
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  const double worked = std::accumulate(ticks.begin(), ticks.end(), 0.0) - ticks[3] - ticks[4];
  return ProcessorTime{.all = worked / static_cast<double>(ticks_of_second),
                       .own = seconds(usage.ru_utime) + seconds(usage.ru_stime),
                       .processors = static_cast<int>(processors)};
}

int64_t process_id() { return getpid(); }

int64_t resident_memory() { return kibibytes("/proc/self/status", "VmRSS"); }

int64_t peak_memory() {
  // On Linux, getrusage also remembers the parent that this process was forked from; this file does not.
  if (const int64_t peak = kibibytes("/proc/self/status", "VmHWM"); peak > 0) return peak;
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
#ifdef __APPLE__
  return usage.ru_maxrss;
#else
  return usage.ru_maxrss * 1024;
#endif
}

void* library_function(const char* library, const char* name) {
  void* loaded = dlopen(library, RTLD_NOW);
  return loaded ? dlsym(loaded, name) : nullptr;
}

std::string processor_name() {
  const std::string name = field("/proc/cpuinfo", "model name");
  return name.empty() ? "processor" : name;
}

bool may_use_tiles() {
#if defined(__linux__) && defined(__x86_64__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

std::optional<HeldFolder> HeldFolder::take(const std::filesystem::path& folder) {
  const int file = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file >= 0 && flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    close(file);
    return std::nullopt;
  }
  return HeldFolder(file);
}

HeldFolder::~HeldFolder() {
  if (handle_ != kNone) close(static_cast<int>(handle_));
}

}  // namespace fude
