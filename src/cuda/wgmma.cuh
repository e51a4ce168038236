// The two wgmma shapes of flash attention with heads of 64: scores = q·kᵀ and output += probabilities·v.
#pragma once

#include "cuda/hopper.cuh"

namespace fude::cuda {

#define FUDE_ACC_8(i) \
  "+f"(c[i]), "+f"(c[i + 1]), "+f"(c[i + 2]), "+f"(c[i + 3]), "+f"(c[i + 4]), "+f"(c[i + 5]), "+f"(c[i + 6]), "+f"(c[i + 7])
#define FUDE_ACC_32(i) FUDE_ACC_8(i), FUDE_ACC_8(i + 8), FUDE_ACC_8(i + 16), FUDE_ACC_8(i + 24)

// c[64×128] (+)= a[64×16]·b[128×16]ᵀ, both in shared memory. Each 16 of k, both
// descriptors move on by 32 bytes (add 2).
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
      : FUDE_ACC_32(0), FUDE_ACC_32(32)                                                                  \
      : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)))
template <class T>
__device__ inline void wgmma_scores(float (&c)[64], uint64_t a, uint64_t b, bool accumulate) {
  if constexpr (std::is_same_v<T, __half>) FUDE_WGMMA_128("f16");
  else FUDE_WGMMA_128("bf16");
}

// c[64×64] += a[64×16]·b[16×64]; a in registers, b transposed. Each 16 of k, the
// descriptor moves on by 2048 bytes (add 128).
#define FUDE_WGMMA_64(type)                                                                                       \
  asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32." type "." type                                        \
               " "                                                                                                \
               "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, " \
               "%21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "                                         \
               "{%32, %33, %34, %35}, %36, 1, 1, 1, 1;\n"                                                         \
               : FUDE_ACC_32(0)                                                                                   \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))
template <class T>
__device__ inline void wgmma_output(float (&c)[32], const uint32_t (&a)[4], uint64_t b) {
  if constexpr (std::is_same_v<T, __half>) FUDE_WGMMA_64("f16");
  else FUDE_WGMMA_64("bf16");
}

#undef FUDE_WGMMA_64
#undef FUDE_WGMMA_128
#undef FUDE_ACC_32
#undef FUDE_ACC_8

}  // namespace fude::cuda
