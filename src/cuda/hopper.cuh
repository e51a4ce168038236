// Instructions of sm_90a as functions: barriers in shared memory, tensor copies (TMA), warpgroup products (wgmma).
#pragma once

#include <cuda.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

#include "cuda/mma.cuh"

namespace fude::cuda {

inline constexpr int kWarp = 32;
inline constexpr int kWarpgroup = 128;
inline constexpr int kSlice = 64;  // 16-bit elements of a swizzled row of 128 bytes: what is multiplied of K at a time

// ---- clusters ----------------------------------------------------------------------------------------------------------

__device__ inline uint32_t rank_in_cluster() {
  uint32_t rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;\n" : "=r"(rank));
  return rank;
}
// Waits for all threads of the cluster; orders no memory but published barriers.
__device__ inline void sync_cluster() {
  asm volatile("barrier.cluster.arrive.relaxed.aligned;\nbarrier.cluster.wait.aligned;\n" ::: "memory");
}

// ---- barriers ----------------------------------------------------------------------------------------------------------

// A phase of a Barrier ends when all its arrivals and all announced bytes have come; phases are told apart by their parity.
using Barrier = uint64_t;

__device__ inline void init(Barrier* barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;\n" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}
// Makes initialised barriers visible to the copy engine and to the cluster.
__device__ inline void publish_barriers() { asm volatile("fence.mbarrier_init.release.cluster;\n" ::: "memory"); }

__device__ inline void arrive_expecting(Barrier* barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;\n" ::"r"(shared_address(barrier)), "r"(bytes)
               : "memory");
}
// Arrives at the same barrier of another block of the cluster (or of this one). Orders no ordinary writes of this thread's: a
// release towards the cluster would wait for all of them, results on their way to global memory too.
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

// A place in a ring of stages and the parity of the passes through it.
template <int stages>
struct Cursor {
  int stage = 0;
  uint32_t parity = 0;
  __device__ void advance(int slices = 1) {
    const int next = stage + slices;
    parity ^= (next / stages) & 1;
    stage = next % stages;
  }
};

// Barriers of the block's own hardware, counted in threads.
__device__ inline void sync_threads(int id, int threads) {
  asm volatile("bar.sync %0, %1;\n" ::"r"(id), "r"(threads) : "memory");
}
__device__ inline void arrive_threads(int id, int threads) {
  asm volatile("bar.arrive %0, %1;\n" ::"r"(id), "r"(threads) : "memory");
}

// ---- tensor copies -----------------------------------------------------------------------------------------------------

__device__ inline void prefetch_map(const CUtensorMap* map) {
  asm volatile("prefetch.tensormap [%0];\n" ::"l"(map) : "memory");
}
// Copies one box of a tensor to shared memory and counts its bytes at the barrier.
__device__ inline void copy_box(void* shared, const CUtensorMap* map, int c0, int c1, int c2, Barrier* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];\n" ::"r"(
          shared_address(shared)),
      "l"(map), "r"(shared_address(barrier)), "r"(c0), "r"(c1), "r"(c2)
      : "memory");
}
__device__ inline void copy_box(void* shared, const CUtensorMap* map, int c0, int c1, int c2, int c3, Barrier* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], [%2];\n" ::"r"(
          shared_address(shared)),
      "l"(map), "r"(shared_address(barrier)), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
      : "memory");
}
// A box of three dimensions to the same place of every block in the mask, counted at each block's own barrier.
__device__ inline void copy_box_to_all(void* shared, const CUtensorMap* map, int c0, int c1, int c2, Barrier* barrier,
                                       uint16_t mask) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster"
      " [%0], [%1, {%3, %4, %5}], [%2], %6;\n" ::"r"(shared_address(shared)),
      "l"(map), "r"(shared_address(barrier)), "r"(c0), "r"(c1), "r"(c2), "h"(mask)
      : "memory");
}

// ---- additions to global memory, done by the L2 cache: nothing waits for what was there ------------------------------------

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

// ---- registers of a warpgroup ------------------------------------------------------------------------------------------

template <int count>
__device__ inline void raise_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;\n" ::"n"(count));
}
template <int count>
__device__ inline void lower_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;\n" ::"n"(count));
}

// ---- warpgroup products ------------------------------------------------------------------------------------------------

// Describes a tile of rows of 64 16-bit elements, as a tensor copy with 128-byte swizzle leaves it: groups of eight rows follow
// one another 1024 bytes apart. The tile starts at a multiple of 1024 bytes; adding bytes/16 to the result moves inside it.
__device__ inline uint64_t describe_tile(const void* shared) {
  constexpr uint64_t kSwizzle128 = 1ull << 62, kGroupStride = 1024 / 16;
  return kSwizzle128 | kGroupStride << 32 | 1ull << 16 | (shared_address(shared) & 0x3ffff) >> 4;
}

__device__ inline void begin_products() { asm volatile("wgmma.fence.sync.aligned;\n" ::: "memory"); }
__device__ inline void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;\n" ::: "memory"); }
// Waits until at most `pending` of the groups committed last are still under way.
template <int pending>
__device__ inline void wait_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;\n" ::"n"(pending) : "memory");
}

// The compiler finishes with these registers before what follows: between products it must not touch them.
template <int size>
__device__ inline void settle(float (&c)[size]) {
#pragma unroll
  for (int i = 0; i < size; i++) asm volatile("" : "+f"(c[i])::"memory");
}

// Thirty-two sums as operands, and their places in the text of the instruction.
#define FUDE_4_SUMS(c, i) "+f"(c[i]), "+f"(c[i + 1]), "+f"(c[i + 2]), "+f"(c[i + 3])
#define FUDE_16_SUMS(c, i) FUDE_4_SUMS(c, i), FUDE_4_SUMS(c, i + 4), FUDE_4_SUMS(c, i + 8), FUDE_4_SUMS(c, i + 12)
#define FUDE_32_SUMS(c, i) FUDE_16_SUMS(c, i), FUDE_16_SUMS(c, i + 16)
#define FUDE_64_PLACES                                                                                                        \
  "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"    \
  "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%" \
  "62,%63"
#define FUDE_96_PLACES                                                                                        \
  FUDE_64_PLACES                                                                                              \
  ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,%83,%84,%85,%86,%87,%88,%89," \
  "%90,%91,%92,%93,%94,%95"
#define FUDE_128_PLACES                                                                                    \
  FUDE_96_PLACES                                                                                           \
  ",%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,%112,%113,%114,%115,%116," \
  "%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
#define FUDE_PRODUCT(columns, types, places, a_place, b_place, ...)                                                \
  asm volatile("wgmma.mma_async.sync.aligned.m64n" columns "k16.f32." types " {" places "}, " a_place ", " b_place \
               ", 1, 1, 1, 0, 0;\n"                                                                                \
               : __VA_ARGS__                                                                                       \
               : "l"(a), "l"(b))
#define FUDE_PRODUCTS(types)                                                                                                  \
  if constexpr (columns == 8) FUDE_PRODUCT("8", types, "%0,%1,%2,%3", "%4", "%5", FUDE_4_SUMS(c, 0));                         \
  else if constexpr (columns == 128)                                                                                          \
    FUDE_PRODUCT("128", types, FUDE_64_PLACES, "%64", "%65", FUDE_32_SUMS(c, 0), FUDE_32_SUMS(c, 32));                        \
  else if constexpr (columns == 192)                                                                                          \
    FUDE_PRODUCT("192", types, FUDE_96_PLACES, "%96", "%97", FUDE_32_SUMS(c, 0), FUDE_32_SUMS(c, 32), FUDE_32_SUMS(c, 64));   \
  else                                                                                                                        \
    FUDE_PRODUCT("256", types, FUDE_128_PLACES, "%128", "%129", FUDE_32_SUMS(c, 0), FUDE_32_SUMS(c, 32), FUDE_32_SUMS(c, 64), \
                 FUDE_32_SUMS(c, 96))

// c[64 × columns] += a[64×16]·b[columns×16]ᵀ, a and b in shared memory. In thread t, c[4·j + 2·h + e] is the sum of
// row 16·(t/32) + t%32/4 + 8·h and column 8·j + 2·(t%4) + e.
template <class T, int columns>
__device__ inline void multiply_add(float (&c)[columns / 2], uint64_t a, uint64_t b) {
  static_assert(columns == 8 || columns == 128 || columns == 192 || columns == 256);
  if constexpr (std::is_same_v<T, __half>) {
    FUDE_PRODUCTS("f16.f16");
  } else {
    FUDE_PRODUCTS("bf16.bf16");
  }
}

#undef FUDE_PRODUCTS
#undef FUDE_PRODUCT
#undef FUDE_128_PLACES
#undef FUDE_96_PLACES
#undef FUDE_64_PLACES
#undef FUDE_32_SUMS
#undef FUDE_16_SUMS
#undef FUDE_4_SUMS

}  // namespace fude::cuda
