// Finding a process's groups, versions 1 and 2, and the least of their limits.
#include "core/cgroups.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <optional>
#include <sstream>
#include <vector>

namespace fs = std::filesystem;

namespace fude {

namespace {

// A version of the control groups, and where it keeps a limit. In version 1 each resource has a tree of groups of its own.
struct Version {
  bool unified;
  const char* mount;           // its folder
  const char *limit, *beside;  // files: of the limit; of what is used, or of the time that a quota is for
  const char* in_cache;        // how names in the file memory.stat begin
};
constexpr Version kMemory[] = {{true, "", "memory.max", "memory.current", ""},
                               {false, "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"}};
constexpr Version kCpu[] = {{true, "", "cpu.max", "", ""}, {false, "cpu", "cpu.cfs_quota_us", "cpu.cfs_period_us", ""}};

// "max", and a file that is not there, are no number.
std::optional<int64_t> number_in(const fs::path& file) {
  std::ifstream in(file);
  int64_t n = 0;
  return in >> n ? std::optional(n) : std::nullopt;
}

int64_t files_in_cache(const fs::path& statistics, const std::string& prefix) {
  std::ifstream in(statistics);
  std::string each;
  int64_t bytes = 0;
  for (int64_t n = 0; in >> each >> n;)
    if (each == prefix + "inactive_file" || each == prefix + "active_file") bytes += n;
  return bytes;
}

// Whether a line of /proc/self/cgroup that names these controllers, "cpu,cpuacct" or none, is of this tree.
bool has(const std::string& controllers, const Version& version) {
  if (version.unified) return controllers.empty();
  return (',' + controllers + ',').find(',' + std::string(version.mount) + ',') != std::string::npos;
}

// The group's path in a line like "4:memory:/docker/1f2e…", relative to the mount.
std::optional<fs::path> path_of_group(const std::string& groups, const Version& version) {
  std::istringstream lines(groups);
  for (std::string line; std::getline(lines, line);) {
    const size_t name = line.find(':') + 1;
    const size_t path = line.find(':', name) + 1;
    if (name == 0 || path == 0 || !has(line.substr(name, path - 1 - name), version)) continue;
    return fs::path(line.substr(path)).relative_path();
  }
  return {};
}

// The folders of the process's group and of those around it. A container sees its own group as the root, whatever its path is
// outside.
std::vector<fs::path> folders_of(const Version& version, const fs::path& root, const std::string& groups) {
  std::vector<fs::path> folders;
  std::optional<fs::path> group = path_of_group(groups, version);
  while (group) {
    folders.push_back(root / version.mount / *group);
    if (group->empty()) break;
    *group = group->parent_path();
  }
  return folders;
}

// Cores' worth of time: "150000 100000" in one file, or a number in each of two.
std::optional<double> quota_in(const fs::path& folder, const Version& version) {
  std::ifstream in(folder / version.limit);
  double quota = 0, period = 0;
  if (!(in >> quota)) return {};
  if (!(in >> period)) period = static_cast<double>(number_in(folder / version.beside).value_or(0));
  return quota > 0 && period > 0 ? std::optional(quota / period) : std::nullopt;
}

}  // namespace

HostMemory within_control_groups(HostMemory machine, const fs::path& root, const std::string& groups) {
  for (const Version& version : kMemory)
    for (const fs::path& folder : folders_of(version, root, groups)) {
      const std::optional<int64_t> most = number_in(folder / version.limit);
      const std::optional<int64_t> taken = number_in(folder / version.beside);
      if (most && taken) {
        const int64_t free = *most - *taken + files_in_cache(folder / "memory.stat", version.in_cache);
        machine.total = std::min(machine.total, *most);
        machine.available = std::min(machine.available, std::max<int64_t>(0, free));
      }
    }
  return machine;
}

int within_control_groups(int cores, const fs::path& root, const std::string& groups) {
  for (const Version& version : kCpu)
    for (const fs::path& folder : folders_of(version, root, groups))
      if (const std::optional<double> quota = quota_in(folder, version))
        cores = static_cast<int>(std::clamp(std::ceil(*quota), 1.0, static_cast<double>(cores)));
  return cores;
}

}  // namespace fude
