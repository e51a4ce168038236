// Linux's control groups: how much of a machine's memory and of its cores' time a container may take.
#pragma once

#include <filesystem>
#include <string>

#include "core/system.h"

namespace fude {

// The machine's memory as the process's control group and those around it limit it. root: where they are mounted,
// /sys/fs/cgroup; groups: what /proc/self/cgroup tells. Files in the system's cache can go, so they do not count as taken.
// Source: Linux, Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
HostMemory within_control_groups(HostMemory machine, const std::filesystem::path& root, const std::string& groups);
// The machine's cores, or as many as the quotas of the same groups are worth, rounded up; at least 1.
// Source: the same, cpu.max; scheduler/sched-bwc.rst.
int within_control_groups(int cores, const std::filesystem::path& root, const std::string& groups);

}  // namespace fude
