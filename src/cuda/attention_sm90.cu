// Flash attention for heads of 64 on Hopper's wgmma (sm_90a): out = softmax(scale·q·kᵀ)·v.
//
// Persistent and warp-specialised: a block owns tiles of queries of one head after another. One producer thread loads queries,
// and tiles of keys and values through a ring, with TMA; each consumer warpgroup keeps 64 queries' scores and output in
// registers. While a warpgroup runs the softmax of one tile, the tensor cores run its probabilities·v of the tile before, and
// the other warpgroups' wgmmas. Limit: exponentials and tensor cores about alike. H100: 505 TFLOP/s at 4429 tokens, 345 at 1357
// (2 × 24 heads, f16).
#include "cuda/attention_tile.cuh"
#include "cuda/kernel.cuh"
#include "cuda/wgmma.cuh"

namespace fude::cuda {
namespace {

template <class Shape>
struct RingState {
  int stage = 0;
  uint32_t parity = 0;
  __device__ void advance() {
    if (++stage == Shape::kStages) stage = 0, parity ^= 1;
  }
};

struct HeadTile {
  int query_tile, head, batch;
  __device__ HeadTile(const HopperCall& call, int tile)
      : query_tile(tile % call.query_tiles),
        head(tile / call.query_tiles % call.heads),
        batch(tile / call.query_tiles / call.heads) {}
};

template <class Shape>
__device__ inline void produce(HopperShared<Shape>& shared, const HopperCall& call, const CUtensorMap& q, const CUtensorMap& k,
                               const CUtensorMap& v) {
  RingState<Shape> ring;
  uint32_t q_parity = 0;
  const auto copy = [&](unsigned char* stage, const CUtensorMap& map, Barrier* full, Barrier* empty, int key_tile,
                        const HeadTile& at) {
    wait(empty, ring.parity ^ 1);
    arrive_expecting(full, Shape::kTileBytes);
    tma_load(stage, &map, at.head * kHeadDim, key_tile * Shape::kKeys, at.batch, full);
  };
  for (int tile = static_cast<int>(blockIdx.x); tile < call.tiles; tile += static_cast<int>(gridDim.x)) {
    const HeadTile at(call, tile);
    wait(&shared.q_empty, q_parity ^ 1);
    q_parity ^= 1;
    arrive_expecting(&shared.q_full, Shape::kQueryBytes);
    tma_load(shared.q, &q, at.head * kHeadDim, at.query_tile * Shape::kRows, at.batch, &shared.q_full);
    for (int key_tile = call.key_tiles - 1; key_tile >= 0; --key_tile) {
      const int i = ring.stage;
      copy(shared.k[i], k, &shared.k_full[i], &shared.k_empty[i], key_tile, at);
      copy(shared.v[i], v, &shared.v_full[i], &shared.v_empty[i], key_tile, at);
      ring.advance();
    }
  }
}

// The online softmax of the two rows, lane/4 and lane/4 + 8, of which a thread holds scores s[4·c + 2·h + e].
template <class Shape>
struct RowSoftmax {
  float max[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};  // running max and sum; sum is this lane's share
  float ratio[2] = {1, 1};                                 // of the latest rescaling

  // Turns scores into probabilities relative to the running max. True where that had to grow: then the output must be rescaled.
  __device__ bool update(float (&s)[Shape::kKeys / 2], float scale) {
    float new_max[2];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float even = max[h], odd = s[2 * h + 1];
#pragma unroll
      for (int i = 2 * h; i < Shape::kKeys / 2; i += 4) even = fmaxf(even, s[i]), odd = fmaxf(odd, s[i + 1]);
      new_max[h] = quad_max(fmaxf(even, odd));
    }
    const bool mine_grows =
        new_max[0] * scale > max[0] * scale + kRescaleThreshold || new_max[1] * scale > max[1] * scale + kRescaleThreshold;
    const bool grows = __any_sync(0xffffffffu, mine_grows);
    if (grows) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        ratio[h] = exp2_fast((max[h] - new_max[h]) * scale);
        max[h] = new_max[h];
        sum[h] *= ratio[h];
      }
    }
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float shift = max[h] * scale;
      float odd = 0;
#pragma unroll
      for (int i = 2 * h; i < Shape::kKeys / 2; i += 4) {
        s[i] = exp2_fast(fmaf(s[i], scale, -shift)), s[i + 1] = exp2_fast(fmaf(s[i + 1], scale, -shift));
        sum[h] += s[i], odd += s[i + 1];
      }
      sum[h] += odd;
    }
    return grows;
  }

  __device__ void rescale(float (&o)[32]) const {
#pragma unroll
    for (int i = 0; i < 32; ++i) o[i] *= ratio[i / 2 % 2];
  }
};

template <class T, class Shape>
__device__ inline void start_qk(float (&s)[Shape::kKeys / 2], uint64_t q, const void* keys) {
  const uint64_t k = smem_descriptor(keys);
  wgmma_fence_operand(s);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < 4; ++step) wgmma_scores<T>(s, q + step * 2, k + step * 2, step > 0);
  wgmma_commit();
}

template <class T, class Shape>
__device__ inline void start_pv(float (&o)[32], const uint32_t (&probabilities)[Shape::kKeys / 16][4], const void* values) {
  const uint64_t v = smem_descriptor(values);
  wgmma_fence_operand(o);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < Shape::kKeys / 16; ++step) wgmma_output<T>(o, probabilities[step], v + step * 128);
  wgmma_commit();
}

template <class Shape>
__device__ inline void mask_scores(float (&s)[Shape::kKeys / 2], int first_key, int keys) {
  if (first_key + Shape::kKeys <= keys) return;
  first_key += static_cast<int>(threadIdx.x) % 4 * 2;
#pragma unroll
  for (int i = 0; i < Shape::kKeys / 2; ++i) {
    if (first_key + i / 4 * 8 + i % 2 >= keys) s[i] = -INFINITY;
  }
}

template <class T, class Shape>
__device__ inline void pack_probabilities(uint32_t (&probabilities)[Shape::kKeys / 16][4], const float (&s)[Shape::kKeys / 2]) {
#pragma unroll
  for (int i = 0; i < Shape::kKeys / 4; ++i) probabilities[i / 4][i % 4] = pack<T>(s[2 * i], s[2 * i + 1]);
}

template <class T, class Shape>
__device__ inline void consume(HopperShared<Shape>& shared, const HopperCall& call, const AttentionRows<T>& out) {
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, group = thread / 128 - 1;
  const bool signals = lane == 0;
  const auto release = [&](Barrier* barrier) {
    if (signals) arrive(barrier);
  };
  RingState<Shape> k_ring, v_ring;
  uint32_t q_parity = 0;
  const uint64_t q = smem_descriptor(shared.q + group * 64 * kTileColumns * 2);
  for (int tile = static_cast<int>(blockIdx.x); tile < call.tiles; tile += static_cast<int>(gridDim.x)) {
    float s[Shape::kKeys / 2], o[32];
    uint32_t probabilities[Shape::kKeys / 16][4];
    RowSoftmax<Shape> softmax;
#pragma unroll
    for (int i = 0; i < 32; ++i) o[i] = 0;
#pragma unroll
    for (int i = 0; i < Shape::kKeys / 2; ++i) s[i] = 0;

    const auto wait_keys = [&] { wait(&shared.k_full[k_ring.stage], k_ring.parity); };
    const auto wait_values = [&] { wait(&shared.v_full[v_ring.stage], v_ring.parity); };
    const auto release_keys = [&] { release(&shared.k_empty[k_ring.stage]), k_ring.advance(); };
    const auto release_values = [&] { release(&shared.v_empty[v_ring.stage]), v_ring.advance(); };

    wait(&shared.q_full, q_parity);
    q_parity ^= 1;
    wait_keys();
    start_qk<T, Shape>(s, q, shared.k[k_ring.stage]);
    wgmma_wait<0>();
    wgmma_fence_operand(s);
    release_keys();
    mask_scores<Shape>(s, (call.key_tiles - 1) * Shape::kKeys, call.keys);
    softmax.update(s, call.scale);
    pack_probabilities<T, Shape>(probabilities, s);

    for (int key_tile = call.key_tiles - 1; key_tile > 0; --key_tile) {
      wait_keys();
      start_qk<T, Shape>(s, q, shared.k[k_ring.stage]);
      wait_values();
      start_pv<T, Shape>(o, probabilities, shared.v[v_ring.stage]);
      wgmma_wait<1>();
      wgmma_fence_operand(s);
      release_keys();
      const bool grows = softmax.update(s, call.scale);
      wgmma_wait<0>();
      wgmma_fence_operand(o);
      release_values();
      if (grows) softmax.rescale(o);
      pack_probabilities<T, Shape>(probabilities, s);
    }
    release(&shared.q_empty);
    wait_values();
    start_pv<T, Shape>(o, probabilities, shared.v[v_ring.stage]);
    wgmma_wait<0>();
    wgmma_fence_operand(o);
    release_values();

    const HeadTile at(call, tile);
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float inverse = 1.0f / quad_sum(softmax.sum[h]);
      const int row = at.query_tile * Shape::kRows + thread / 32 * 16 - 64 + h * 8 + lane / 4;
      if (row >= call.queries) continue;
      T* const rows = out.at(at.batch, row, at.head * kHeadDim + lane % 4 * 2);
#pragma unroll
      for (int c = 0; c < 8; ++c) {
        *reinterpret_cast<uint32_t*>(rows + c * 8) = pack<T>(o[4 * c + 2 * h] * inverse, o[4 * c + 2 * h + 1] * inverse);
      }
    }
  }
}

template <class T, class Shape>
__device__ __forceinline__ void run(const AttentionSm90Kernel<T, Shape>& kernel) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ unsigned char memory[];
  auto& shared = *reinterpret_cast<HopperShared<Shape>*>(memory + (1024 - shared_address(memory) % 1024) % 1024);
  if (threadIdx.x == 0) {
    init(&shared.q_full, 1);
    init(&shared.q_empty, Shape::kConsumers * 4);
    for (int i = 0; i < Shape::kStages; ++i) {
      init(&shared.k_full[i], 1);
      init(&shared.v_full[i], 1);
      init(&shared.k_empty[i], Shape::kConsumers * 4);
      init(&shared.v_empty[i], Shape::kConsumers * 4);
    }
    fence_barrier_init();
  }
  __syncthreads();
  // Of the 512 registers for one thread of each warpgroup, the producer needs few.
  constexpr bool two = Shape::kConsumers == 2;
  if (threadIdx.x < 128) {
    warpgroup_reg_dealloc<two ? 24 : 32>();
    if (threadIdx.x == 0) produce<Shape>(shared, kernel.call, kernel.q, kernel.k, kernel.v);
  } else {
    warpgroup_reg_alloc<two ? 240 : 160>();
    consume<T, Shape>(shared, kernel.call, kernel.out);
  }
#else
  __trap();
#endif
}

}  // namespace

FUDE_ATTENTION_SM90_KERNELS(FUDE_DEFINE_KERNEL)

}  // namespace fude::cuda
