// Wrappers of sm_90a's instructions: mbarriers, TMA loads, wgmma, register reallocation.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

#include "cuda/hopper_sizes.h"
#include "cuda/mma.cuh"
#include "cuda/tensor_map.h"

namespace fude::cuda {

// ---- clusters ----------------------------------------------------------------------------------------------------------

__device__ inline uint32_t rank_in_cluster() {
  uint32_t rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;\n" : "=r"(rank));
  return rank;
}
// Waits for all threads of the cluster; orders no memory but fenced mbarriers.
__device__ inline void sync_cluster() {
  asm volatile("barrier.cluster.arrive.relaxed.aligned;\nbarrier.cluster.wait.aligned;\n" ::: "memory");
}

// ---- mbarriers ---------------------------------------------------------------------------------------------------------

// A phase completes when all arrivals and all expected bytes have come; phases are told apart by their parity. The phase before
// a barrier's first has parity 1.
using Barrier = uint64_t;

__device__ inline void init(Barrier* barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;\n" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}
// Makes initialised barriers visible to the async proxy (TMA) and to the cluster.
__device__ inline void fence_barrier_init() { asm volatile("fence.mbarrier_init.release.cluster;\n" ::: "memory"); }

__device__ inline void arrive(Barrier* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];\n" ::"r"(shared_address(barrier)) : "memory");
}
__device__ inline void arrive_expecting(Barrier* barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;\n" ::"r"(shared_address(barrier)), "r"(bytes)
               : "memory");
}
// Arrives at the same barrier of another block of the cluster (or of this one). Orders no ordinary writes of this thread: a
// release at cluster scope would wait for all of them, results in flight to global memory too.
__device__ inline void arrive_at(Barrier* barrier, uint32_t rank) {
  asm volatile(
      "{\n.reg .b32 remote;\n"
      "mapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [remote];\n}\n" ::"r"(shared_address(barrier)),
      "r"(rank)
      : "memory");
}
__device__ inline void wait(Barrier* barrier, uint32_t parity) {
  asm volatile(
      "{\n.reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n}\n" ::"r"(shared_address(barrier)),
      "r"(parity)
      : "memory");
}

// The current stage of a ring of shared-memory stages, and the parity of its barriers' phase.
template <int stages>
struct PipelineState {
  int stage = 0;
  uint32_t parity = 0;
  __device__ void advance(int k_tiles = 1) {
    const int next = stage + k_tiles;
    parity ^= (next / stages) & 1;
    stage = next % stages;
  }
};

// Named barriers of the block, counted in threads.
__device__ inline void named_barrier_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;\n" ::"r"(id), "r"(threads) : "memory");
}
__device__ inline void named_barrier_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;\n" ::"r"(id), "r"(threads) : "memory");
}

// ---- TMA ---------------------------------------------------------------------------------------------------------------

__device__ inline void prefetch_descriptor(const CUtensorMap* map) {
  asm volatile("prefetch.tensormap [%0];\n" ::"l"(map) : "memory");
}
// Loads one box of a tensor into shared memory and counts its bytes at the barrier. Zeros outside of the tensor.
__device__ inline void tma_load(void* shared, const CUtensorMap* map, int c0, int c1, int c2, Barrier* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];\n" ::"r"(
          shared_address(shared)),
      "l"(map), "r"(shared_address(barrier)), "r"(c0), "r"(c1), "r"(c2)
      : "memory");
}
__device__ inline void tma_load(void* shared, const CUtensorMap* map, int c0, int c1, int c2, int c3, Barrier* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], [%2];\n" ::"r"(
          shared_address(shared)),
      "l"(map), "r"(shared_address(barrier)), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
      : "memory");
}
// TMA multicast of a 3-D box: to the same offset in every block of the mask, counted at each block's own barrier.
__device__ inline void tma_load_multicast(void* shared, const CUtensorMap* map, int c0, int c1, int c2, Barrier* barrier,
                                          uint16_t mask) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster"
      " [%0], [%1, {%3, %4, %5}], [%2], %6;\n" ::"r"(shared_address(shared)),
      "l"(map), "r"(shared_address(barrier)), "r"(c0), "r"(c1), "r"(c2), "h"(mask)
      : "memory");
}

// ---- reductions in the L2 cache: red, so that nothing waits for the value that was there -----------------------------------

__device__ inline void add_to(float* out, float x, float y) {
  asm volatile("red.relaxed.gpu.global.add.v2.f32 [%0], {%1, %2};\n" ::"l"(out), "f"(x), "f"(y) : "memory");
}
// Eight neighbours in four registers.
__device__ inline void add_to(__half* out, const uint32_t (&r)[4]) {
  asm volatile("red.relaxed.gpu.global.add.noftz.v4.f16x2 [%0], {%1, %2, %3, %4};\n" ::"l"(out), "r"(r[0]), "r"(r[1]),
               "r"(r[2]), "r"(r[3])
               : "memory");
}
__device__ inline void add_to(__nv_bfloat16* out, const uint32_t (&r)[4]) {
  asm volatile("red.relaxed.gpu.global.add.noftz.v4.bf16x2 [%0], {%1, %2, %3, %4};\n" ::"l"(out), "r"(r[0]), "r"(r[1]),
               "r"(r[2]), "r"(r[3])
               : "memory");
}

// ---- register reallocation ----------------------------------------------------------------------------------------------

template <int count>
__device__ inline void warpgroup_reg_alloc() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;\n" ::"n"(count));
}
template <int count>
__device__ inline void warpgroup_reg_dealloc() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;\n" ::"n"(count));
}

// ---- wgmma -------------------------------------------------------------------------------------------------------------

// The shared-memory matrix descriptor of a tile of rows of 64 16-bit elements, as TMA with 128-byte swizzle leaves it: groups
// of eight rows follow one another 1024 bytes apart. The tile starts at a multiple of 1024 bytes; adding bytes/16 to the
// descriptor moves inside it.
__device__ inline uint64_t smem_descriptor(const void* shared) {
  constexpr uint64_t kSwizzle128 = 1ull << 62, kGroupStride = 1024 / 16;
  return kSwizzle128 | kGroupStride << 32 | 1ull << 16 | (shared_address(shared) & 0x3ffff) >> 4;
}

__device__ inline void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;\n" ::: "memory"); }
__device__ inline void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;\n" ::: "memory"); }
// Waits until at most `pending` of the groups committed last are still in flight.
template <int pending>
__device__ inline void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;\n" ::"n"(pending) : "memory");
}

// Keeps the compiler from moving accesses of these accumulators across this point: wgmma owns them while it is in flight.
template <int size>
__device__ inline void wgmma_fence_operand(float (&c)[size]) {
#pragma unroll
  for (int i = 0; i < size; i++) asm volatile("" : "+f"(c[i])::"memory");
}

// The accumulators as operands, and the text that numbers them in the instruction.
#define FUDE_ACC_4(c, i) "+f"(c[i]), "+f"(c[i + 1]), "+f"(c[i + 2]), "+f"(c[i + 3])
#define FUDE_ACC_16(c, i) FUDE_ACC_4(c, i), FUDE_ACC_4(c, i + 4), FUDE_ACC_4(c, i + 8), FUDE_ACC_4(c, i + 12)
#define FUDE_ACC_32(c, i) FUDE_ACC_16(c, i), FUDE_ACC_16(c, i + 16)
#define FUDE_OPERANDS_64                                                                                                      \
  "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"    \
  "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%" \
  "62,%63"
#define FUDE_OPERANDS_96                                                                                      \
  FUDE_OPERANDS_64                                                                                            \
  ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,%83,%84,%85,%86,%87,%88,%89," \
  "%90,%91,%92,%93,%94,%95"
#define FUDE_OPERANDS_128                                                                                  \
  FUDE_OPERANDS_96                                                                                         \
  ",%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,%112,%113,%114,%115,%116," \
  "%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
#define FUDE_WGMMA(columns, types, acc_operands, a_operand, b_operand, ...)                                                  \
  asm volatile("wgmma.mma_async.sync.aligned.m64n" columns "k16.f32." types " {" acc_operands "}, " a_operand ", " b_operand \
               ", 1, 1, 1, 0, 0;\n"                                                                                          \
               : __VA_ARGS__                                                                                                 \
               : "l"(a), "l"(b))
#define FUDE_WGMMA_ANY(types)                                                                                              \
  if constexpr (columns == 8) FUDE_WGMMA("8", types, "%0,%1,%2,%3", "%4", "%5", FUDE_ACC_4(c, 0));                         \
  else if constexpr (columns == 128)                                                                                       \
    FUDE_WGMMA("128", types, FUDE_OPERANDS_64, "%64", "%65", FUDE_ACC_32(c, 0), FUDE_ACC_32(c, 32));                       \
  else if constexpr (columns == 192)                                                                                       \
    FUDE_WGMMA("192", types, FUDE_OPERANDS_96, "%96", "%97", FUDE_ACC_32(c, 0), FUDE_ACC_32(c, 32), FUDE_ACC_32(c, 64));   \
  else                                                                                                                     \
    FUDE_WGMMA("256", types, FUDE_OPERANDS_128, "%128", "%129", FUDE_ACC_32(c, 0), FUDE_ACC_32(c, 32), FUDE_ACC_32(c, 64), \
               FUDE_ACC_32(c, 96))

// c[64 × columns] += a[64×16]·b[columns×16]ᵀ, a and b in shared memory. In thread t, c[4·j + 2·h + e] accumulates
// row 16·(t/32) + t%32/4 + 8·h and column 8·j + 2·(t%4) + e.
template <class T, int columns>
__device__ inline void wgmma(float (&c)[columns / 2], uint64_t a, uint64_t b) {
  static_assert(columns == 8 || columns == 128 || columns == 192 || columns == 256);
  if constexpr (std::is_same_v<T, __half>) {
    FUDE_WGMMA_ANY("f16.f16");
  } else {
    FUDE_WGMMA_ANY("bf16.bf16");
  }
}

#undef FUDE_WGMMA_ANY
#undef FUDE_WGMMA
#undef FUDE_OPERANDS_128
#undef FUDE_OPERANDS_96
#undef FUDE_OPERANDS_64
#undef FUDE_ACC_32
#undef FUDE_ACC_16
#undef FUDE_ACC_4

}  // namespace fude::cuda
