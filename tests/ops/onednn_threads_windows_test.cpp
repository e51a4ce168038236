// Microsoft's OpenMP starts no threads of its own beside the team's.
#include <windows.h>
// after windows.h
#include <tlhelp32.h>

#include "cpu/cpu_device.h"
#include "support.h"

namespace fude::test {
namespace {

int threads_of_process() {
  const HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
  int count = 0;
  THREADENTRY32 entry{};
  entry.dwSize = sizeof entry;
  for (BOOL more = Thread32First(all, &entry); more; more = Thread32Next(all, &entry))
    count += entry.th32OwnerProcessID == GetCurrentProcessId();
  CloseHandle(all);
  return count;
}

TEST(TheCpu, StartsNoThreadsOfOpenMP) {
  const int before = threads_of_process();
  CpuDevice device(2);
  RealRun run(device, DType::f32);
  const WeightShape shape{.out = 512, .in = 256};
  void* memory = run.arena.allocate(device.packed_bytes(shape, WeightFormat::f32));
  const std::unique_ptr<Transfer> transfer = run.op.device().begin_transfer();
  const Weight weight = transfer->pack(
      shape, WeightFormat::f32,
      [](int64_t begin, int64_t end, WeightFormat, void* rows) {
        std::fill_n(static_cast<float*>(rows), (end - begin) * 256, 1.0f);
      },
      memory);
  transfer->wait();
  const std::vector<float> ones(2000 * 256, 1.0f);
  run.op.linear(run.op.upload(ones.data(), DType::f32, {2000, 256}), {.weight = weight, .bias = {}});
  EXPECT_GT(before, 0);
  EXPECT_LE(threads_of_process(), before + 1);  // the team's second
}

}  // namespace
}  // namespace fude::test
