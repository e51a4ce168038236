// What attention needs of Hopper's own instructions (sm_90a), as functions: barriers in shared memory, tiles copied by the
// tensor memory accelerator, and products of a whole warpgroup that run beside other instructions.
#pragma once

#include <cuda.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

#include "cuda/mma.cuh"

namespace fude::cuda::sm90 {

// ---- barriers: complete a phase when all arrivals and all announced bytes have come ----------------------------------------

__device__ inline void init_barrier(uint64_t* barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;\n" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}
// Makes initialised barriers visible to the copy engine.
__device__ inline void fence_barriers() { asm volatile("fence.mbarrier_init.release.cluster;\n" ::: "memory"); }

__device__ inline void arrive(uint64_t* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];\n" ::"r"(shared_address(barrier)) : "memory");
}
__device__ inline void arrive_expecting(uint64_t* barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;\n" ::"r"(shared_address(barrier)), "r"(bytes)
               : "memory");
}
// Returns once the phase of this parity is complete; the phase before a barrier's first has parity 1.
__device__ inline void wait(uint64_t* barrier, uint32_t parity) {
  asm volatile(
      "{\n.reg .pred done;\nwaiting:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n@done bra complete;\nbra waiting;\ncomplete:\n}\n" ::"r"(
          shared_address(barrier)),
      "r"(parity)
      : "memory");
}

// ---- copies ----------------------------------------------------------------------------------------------------------------

// The map's box at (column, row, batch) to shared memory; its bytes are counted by the barrier. Zeros outside of the tensor.
__device__ inline void copy_box(void* shared, const CUtensorMap& map, uint64_t* barrier, int column, int row, int batch) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];\n" ::"r"(
          shared_address(shared)),
      "l"(&map), "r"(shared_address(barrier)), "r"(column), "r"(row), "r"(batch)
      : "memory");
}

// ---- registers -------------------------------------------------------------------------------------------------------------

template <int registers>
__device__ inline void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;\n" ::"n"(registers));
}
template <int registers>
__device__ inline void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;\n" ::"n"(registers));
}

// ---- products --------------------------------------------------------------------------------------------------------------

// Describes a tile of 128-byte rows, swizzled over eight rows as copy_box leaves it. It serves rows as the output columns, 32
// bytes (add 2) per 16 summed; and, transposed, rows as what is summed, 2048 bytes (add 128) per 16.
__device__ inline uint64_t describe_tile(const void* tile) {
  constexpr uint64_t kSwizzle128 = 1ull << 62, kEightRows = 1024 / 16;
  return kSwizzle128 | kEightRows << 32 | 1ull << 16 | (shared_address(tile) & 0x3ffff) >> 4;
}

__device__ inline void begin_products() { asm volatile("wgmma.fence.sync.aligned;\n" ::: "memory"); }
__device__ inline void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;\n" ::: "memory"); }
// Waits until at most `pending` of the groups committed last still run.
template <int pending>
__device__ inline void wait_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;\n" ::"n"(pending) : "memory");
}
// Keeps the compiler from moving uses of a product's registers across this point.
template <int n>
__device__ inline void pin(float (&c)[n]) {
#pragma unroll
  for (int i = 0; i < n; ++i) asm volatile("" : "+f"(c[i])::"memory");
}

#define FUDE_SUMS_8(i) \
  "+f"(c[i]), "+f"(c[i + 1]), "+f"(c[i + 2]), "+f"(c[i + 3]), "+f"(c[i + 4]), "+f"(c[i + 5]), "+f"(c[i + 6]), "+f"(c[i + 7])
#define FUDE_SUMS_32(i) FUDE_SUMS_8(i), FUDE_SUMS_8(i + 8), FUDE_SUMS_8(i + 16), FUDE_SUMS_8(i + 24)

// c[64×128] (+)= a[64×16]·b[128×16]ᵀ, both in shared memory.
#define FUDE_WGMMA_128(type)                                                                             \
  asm volatile(                                                                                          \
      "{\n.reg .pred adds;\nsetp.ne.b32 adds, %66, 0;\n"                                                 \
      "wgmma.mma_async.sync.aligned.m64n128k16.f32." type "." type                                       \
      " "                                                                                                \
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, " \
      "%21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, "  \
      "%40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, "  \
      "%59, %60, %61, %62, %63}, "                                                                       \
      "%64, %65, adds, 1, 1, 0, 0;\n}\n"                                                                 \
      : FUDE_SUMS_32(0), FUDE_SUMS_32(32)                                                                \
      : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)))
template <class T>
__device__ inline void multiply_rows(float (&c)[64], uint64_t a, uint64_t b, bool accumulate) {
  if constexpr (std::is_same_v<T, __half>) FUDE_WGMMA_128("f16");
  else FUDE_WGMMA_128("bf16");
}

// c[64×64] += a[64×16]·b[16×64]; a in registers.
#define FUDE_WGMMA_64(type)                                                                                       \
  asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32." type "." type                                        \
               " "                                                                                                \
               "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, " \
               "%21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "                                         \
               "{%32, %33, %34, %35}, %36, 1, 1, 1, 1;\n"                                                         \
               : FUDE_SUMS_32(0)                                                                                  \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))
template <class T>
__device__ inline void multiply_columns(float (&c)[32], const uint32_t (&a)[4], uint64_t b) {
  if constexpr (std::is_same_v<T, __half>) FUDE_WGMMA_64("f16");
  else FUDE_WGMMA_64("bf16");
}

#undef FUDE_WGMMA_64
#undef FUDE_WGMMA_128
#undef FUDE_SUMS_32
#undef FUDE_SUMS_8

}  // namespace fude::cuda::sm90
