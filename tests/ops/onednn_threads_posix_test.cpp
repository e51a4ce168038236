// What the CPU device leaves as it was in the OpenMP of its callers.
#include <dnnl.hpp>

#include "cpu/cpu_device.h"

#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
#include <omp.h>
#endif

#include "support.h"

namespace fude::test {
namespace {

#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
// oneDNN is told through OpenMP that it has one thread; a program that draws with the library may use OpenMP itself.
TEST(TheCpu, LeavesOpenMPToItsCallers) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(7);
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
  const std::vector<float> ones(300 * 256, 1.0f);
  run.op.linear(run.op.upload(ones.data(), DType::f32, {300, 256}), {.weight = weight, .bias = {}});
  EXPECT_EQ(omp_get_max_threads(), 7);
  omp_set_num_threads(before);
}
#endif

}  // namespace
}  // namespace fude::test
