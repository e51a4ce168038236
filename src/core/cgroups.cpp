#include "core/cgroups.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>

namespace fs = std::filesystem;

namespace fude {

namespace {

struct Version {
  const char *line, *mount;            // how its line in /proc/self/cgroup begins, behind the number; its folder
  const char *most, *used, *in_cache;  // files, and how names in the file memory.stat begin
};
constexpr Version kVersions[] = {{":", "", "memory.max", "memory.current", ""},
                                 {"memory:", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"}};

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

// The group's path in a line like "4:memory:/docker/1f2e…", relative to the mount.
std::optional<fs::path> path_of_group(const std::string& groups, const Version& version) {
  std::istringstream lines(groups);
  for (std::string line; std::getline(lines, line);) {
    const size_t name = line.find(':') + 1;
    if (name == 0 || line.compare(name, std::string(version.line).size(), version.line) != 0) continue;
    return fs::path(line.substr(line.find(':', name) + 1)).relative_path();
  }
  return {};
}

}  // namespace

HostMemory within_control_groups(HostMemory machine, const fs::path& root, const std::string& groups) {
  for (const Version& version : kVersions) {
    std::optional<fs::path> group = path_of_group(groups, version);
    while (group) {  // a container sees its own group as the root, whatever its path is outside
      const fs::path folder = root / version.mount / *group;
      const std::optional<int64_t> most = number_in(folder / version.most);
      const std::optional<int64_t> taken = number_in(folder / version.used);
      if (most && taken) {
        const int64_t free = *most - *taken + files_in_cache(folder / "memory.stat", version.in_cache);
        machine.total = std::min(machine.total, *most);
        machine.available = std::min(machine.available, std::max<int64_t>(0, free));
      }
      if (group->empty()) break;
      *group = group->parent_path();
    }
  }
  return machine;
}

}  // namespace fude
