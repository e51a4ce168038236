// The limits of a container's memory and cores, read from control groups (cgroups) of versions 1 and 2.
#include "core/cgroups.h"

#include <gtest/gtest.h>

#include <fstream>

#include "temporary.h"

namespace fude::test {
namespace {

namespace fs = std::filesystem;

class ControlGroups : public testing::Test {
 protected:
  ~ControlGroups() override { fs::remove_all(root_); }

  void write(const fs::path& file, const std::string& text) const {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text << '\n';
  }
  HostMemory seen(const std::string& groups) const {
    return within_control_groups({.total = 1000, .available = 800}, root_, groups);
  }

  const fs::path root_ = temporary("groups");
};

TEST_F(ControlGroups, GiveAContainerATimeOfSoManyCores) {
  const auto cores = [&](const std::string& groups) { return within_control_groups(16, root_, groups); };
  EXPECT_EQ(cores(""), 16);
  EXPECT_EQ(cores("0::/\n"), 16);
  write("cpu.max", "max 100000");
  EXPECT_EQ(cores("0::/\n"), 16);
  write("cpu.max", "250000 100000");  // two and a half
  EXPECT_EQ(cores("0::/\n"), 3);
  EXPECT_EQ(cores("0::/docker/1f2e\n"), 3);
  write("user/session/cpu.max", "10000 100000");
  EXPECT_EQ(cores("0::/user/session\n"), 1);
  write("cpu.max", "9900000 100000");
  EXPECT_EQ(cores("0::/\n"), 16);
}

TEST_F(ControlGroups, GiveTheSameInVersion1) {
  const auto cores = [&](const std::string& groups) { return within_control_groups(16, root_, groups); };
  write("cpu/docker/cpu.cfs_quota_us", "-1");
  write("cpu/docker/cpu.cfs_period_us", "100000");
  EXPECT_EQ(cores("5:cpuset:/docker\n4:cpu,cpuacct:/docker\n"), 16);
  write("cpu/docker/cpu.cfs_quota_us", "400000");
  EXPECT_EQ(cores("5:cpuset:/docker\n4:cpu,cpuacct:/docker\n"), 4);
  EXPECT_EQ(cores("4:cpuacct,cpu:/docker/inner\n"), 4);
  EXPECT_EQ(cores("5:cpuset:/docker\n"), 16);
}

void expect(const HostMemory& memory, int64_t total, int64_t available) {
  EXPECT_EQ(memory.total, total);
  EXPECT_EQ(memory.available, available);
}

TEST_F(ControlGroups, LimitNothingWhereThereAreNone) {
  expect(seen(""), 1000, 800);
  expect(seen("0::/\n"), 1000, 800);
  expect(seen("nonsense\n:::\n0:"), 1000, 800);
  write("memory.max", "max");
  write("memory.current", "300");
  expect(seen("0::/\n"), 1000, 800);
}

TEST_F(ControlGroups, LimitAContainer) {
  write("memory.max", "500");
  write("memory.current", "300");
  expect(seen("0::/\n"), 500, 200);
  write("memory.stat", "anon 100\ninactive_file 150\nactive_file 50");
  expect(seen("0::/\n"), 500, 400);
  expect(seen("0::/docker/1f2e\n"), 500, 400);  // as its path is called outside
  write("memory.current", "700");               // more than it may: soon something must go
  expect(seen("0::/\n"), 500, 0);
}

TEST_F(ControlGroups, LimitByTheNarrowestAround) {
  write("user/session/memory.max", "600");
  write("user/session/memory.current", "100");
  write("user/memory.max", "700");
  write("user/memory.current", "690");
  write("other/memory.max", "1");
  write("other/memory.current", "1");
  expect(seen("0::/user/session\n"), 600, 10);
}

TEST_F(ControlGroups, LimitInTheFirstVersionToo) {
  write("memory/box/memory.limit_in_bytes", "400");
  write("memory/box/memory.usage_in_bytes", "300");
  write("memory/box/memory.stat", "inactive_file 1\ntotal_inactive_file 40\ntotal_active_file 20");
  write("memory/memory.limit_in_bytes", "9223372036854771712");
  write("memory/memory.usage_in_bytes", "900");
  expect(seen("5:cpu:/box\n4:memory:/box\n0::/\n"), 400, 160);
}

}  // namespace
}  // namespace fude::test
