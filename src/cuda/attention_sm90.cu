// Attention for heads of 64 on Hopper's wgmma (sm_90a): out = softmax(scale·q·kᵀ)·v, flash style.
//
// A persistent block owns tiles of queries of one head after another. One thread has the copy engine bring queries, and tiles
// of keys and values through a ring; each warpgroup keeps 64 queries' scores and output in registers. While a warpgroup turns
// one tile's scores into weights, the tensor cores run its product of the tile before with the values, and the other
// warpgroups' products. Limit: exponentials and tensor cores about alike. H100: 505 TFLOP/s at 4429 tokens, 345 at 1357 (2 × 24
// heads, f16).
#include <algorithm>

#include "cuda/attention_kernels.h"
#include "cuda/attention_tile.cuh"
#include "cuda/wgmma.cuh"

namespace fude::cuda {
namespace {

template <int kWarpgroups>
struct HopperShape {
  static constexpr int kConsumers = kWarpgroups, kRows = kConsumers * 64, kThreads = (kConsumers + 1) * 128;
  static constexpr int kKeys = 128, kStages = 2;
  static constexpr int kTileBytes = kKeys * kTileColumns * 2, kQueryBytes = kRows * kTileColumns * 2;
};

template <class Shape>
struct HopperShared {
  alignas(1024) unsigned char q[Shape::kQueryBytes];
  alignas(1024) unsigned char k[Shape::kStages][Shape::kTileBytes];
  alignas(1024) unsigned char v[Shape::kStages][Shape::kTileBytes];
  uint64_t q_full, q_empty, k_full[Shape::kStages], k_empty[Shape::kStages], v_full[Shape::kStages], v_empty[Shape::kStages];
};

struct HopperCall {
  int queries, keys, heads, tiles;  // tiles of queries over all heads and batches
  int query_tiles, key_tiles;       // per head
  float scale;                      // in base 2
};

template <class Shape>
struct Ring {
  int slot = 0;
  uint32_t parity = 0;
  __device__ void advance() {
    if (++slot == Shape::kStages) slot = 0, parity ^= 1;
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
  Ring<Shape> ring;
  uint32_t q_parity = 0;
  const auto copy = [&](unsigned char* slot, const CUtensorMap& map, uint64_t* full, uint64_t* empty, int key_tile,
                        const HeadTile& at) {
    sm90::wait(empty, ring.parity ^ 1);
    sm90::arrive_expecting(full, Shape::kTileBytes);
    sm90::copy_box(slot, map, full, at.head * 64, key_tile * Shape::kKeys, at.batch);
  };
  for (int tile = static_cast<int>(blockIdx.x); tile < call.tiles; tile += static_cast<int>(gridDim.x)) {
    const HeadTile at(call, tile);
    sm90::wait(&shared.q_empty, q_parity ^ 1);
    q_parity ^= 1;
    sm90::arrive_expecting(&shared.q_full, Shape::kQueryBytes);
    sm90::copy_box(shared.q, q, &shared.q_full, at.head * 64, at.query_tile * Shape::kRows, at.batch);
    for (int key_tile = call.key_tiles - 1; key_tile >= 0; --key_tile) {
      const int i = ring.slot;
      copy(shared.k[i], k, &shared.k_full[i], &shared.k_empty[i], key_tile, at);
      copy(shared.v[i], v, &shared.v_full[i], &shared.v_empty[i], key_tile, at);
      ring.advance();
    }
  }
}

// The two rows, lane/4 and lane/4 + 8, of which a thread holds scores s[4·c + 2·h + e].
template <class Shape>
struct RowSoftmax {
  float max[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};  // sums are this lane's share
  float factor[2] = {1, 1};                                // of the latest rise

  // Scores become weights relative to the maximum. True where that had to rise: then the output must follow.
  __device__ bool update(float (&s)[Shape::kKeys / 2], float scale) {
    float highest[2];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float even = max[h], odd = s[2 * h + 1];
#pragma unroll
      for (int i = 2 * h; i < Shape::kKeys / 2; i += 4) even = fmaxf(even, s[i]), odd = fmaxf(odd, s[i + 1]);
      highest[h] = quad_max(fmaxf(even, odd));
    }
    const bool mine = highest[0] * scale > max[0] * scale + kSlack || highest[1] * scale > max[1] * scale + kSlack;
    const bool rises = __any_sync(0xffffffffu, mine);
    if (rises) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        factor[h] = exp2_fast((max[h] - highest[h]) * scale);
        max[h] = highest[h];
        sum[h] *= factor[h];
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
    return rises;
  }

  __device__ void follow(float (&o)[32]) const {
#pragma unroll
    for (int i = 0; i < 32; ++i) o[i] *= factor[i / 2 % 2];
  }
};

template <class T, class Shape>
__device__ inline void start_scores(float (&s)[Shape::kKeys / 2], uint64_t q, const void* keys) {
  const uint64_t k = sm90::describe_tile(keys);
  sm90::pin(s);
  sm90::begin_products();
#pragma unroll
  for (int step = 0; step < 4; ++step) sm90::multiply_rows<T>(s, q + step * 2, k + step * 2, step > 0);
  sm90::commit_products();
}

template <class T, class Shape>
__device__ inline void start_output(float (&o)[32], const uint32_t (&weights)[Shape::kKeys / 16][4], const void* values) {
  const uint64_t v = sm90::describe_tile(values);
  sm90::pin(o);
  sm90::begin_products();
#pragma unroll
  for (int step = 0; step < Shape::kKeys / 16; ++step) sm90::multiply_columns<T>(o, weights[step], v + step * 128);
  sm90::commit_products();
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
__device__ inline void pack_weights(uint32_t (&weights)[Shape::kKeys / 16][4], const float (&s)[Shape::kKeys / 2]) {
#pragma unroll
  for (int i = 0; i < Shape::kKeys / 4; ++i) weights[i / 4][i % 4] = pack<T>(s[2 * i], s[2 * i + 1]);
}

template <class T, class Shape>
__device__ inline void consume(HopperShared<Shape>& shared, const HopperCall& call, const AttentionRows<T>& out) {
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, group = thread / 128 - 1;
  const bool signals = lane == 0;
  const auto release = [&](uint64_t* barrier) {
    if (signals) sm90::arrive(barrier);
  };
  Ring<Shape> k_ring, v_ring;
  uint32_t q_parity = 0;
  const uint64_t q = sm90::describe_tile(shared.q + group * 64 * kTileColumns * 2);
  for (int tile = static_cast<int>(blockIdx.x); tile < call.tiles; tile += static_cast<int>(gridDim.x)) {
    float s[Shape::kKeys / 2], o[32];
    uint32_t weights[Shape::kKeys / 16][4];
    RowSoftmax<Shape> softmax;
#pragma unroll
    for (int i = 0; i < 32; ++i) o[i] = 0;
#pragma unroll
    for (int i = 0; i < Shape::kKeys / 2; ++i) s[i] = 0;

    const auto wait_keys = [&] { sm90::wait(&shared.k_full[k_ring.slot], k_ring.parity); };
    const auto wait_values = [&] { sm90::wait(&shared.v_full[v_ring.slot], v_ring.parity); };
    const auto release_keys = [&] { release(&shared.k_empty[k_ring.slot]), k_ring.advance(); };
    const auto release_values = [&] { release(&shared.v_empty[v_ring.slot]), v_ring.advance(); };

    sm90::wait(&shared.q_full, q_parity);
    q_parity ^= 1;
    wait_keys();
    start_scores<T, Shape>(s, q, shared.k[k_ring.slot]);
    sm90::wait_products<0>();
    sm90::pin(s);
    release_keys();
    mask_scores<Shape>(s, (call.key_tiles - 1) * Shape::kKeys, call.keys);
    softmax.update(s, call.scale);
    pack_weights<T, Shape>(weights, s);

    for (int key_tile = call.key_tiles - 1; key_tile > 0; --key_tile) {
      wait_keys();
      start_scores<T, Shape>(s, q, shared.k[k_ring.slot]);
      wait_values();
      start_output<T, Shape>(o, weights, shared.v[v_ring.slot]);
      sm90::wait_products<1>();
      sm90::pin(s);
      release_keys();
      const bool rises = softmax.update(s, call.scale);
      sm90::wait_products<0>();
      sm90::pin(o);
      release_values();
      if (rises) softmax.follow(o);
      pack_weights<T, Shape>(weights, s);
    }
    release(&shared.q_empty);
    wait_values();
    start_output<T, Shape>(o, weights, shared.v[v_ring.slot]);
    sm90::wait_products<0>();
    sm90::pin(o);
    release_values();

    const HeadTile at(call, tile);
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float inverse = 1.0f / quad_sum(softmax.sum[h]);
      const int row = at.query_tile * Shape::kRows + thread / 32 * 16 - 64 + h * 8 + lane / 4;
      if (row >= call.queries) continue;
      T* const rows = out.at(at.batch, row, at.head * 64 + lane % 4 * 2);
#pragma unroll
      for (int c = 0; c < 8; ++c) {
        *reinterpret_cast<uint32_t*>(rows + c * 8) = pack<T>(o[4 * c + 2 * h] * inverse, o[4 * c + 2 * h + 1] * inverse);
      }
    }
  }
}

template <class T, class Shape>
__global__ void __launch_bounds__(Shape::kThreads, 1)
    attention_sm90_kernel(const __grid_constant__ CUtensorMap q, const __grid_constant__ CUtensorMap k,
                          const __grid_constant__ CUtensorMap v, const HopperCall call, const AttentionRows<T> out) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ unsigned char memory[];
  auto& shared = *reinterpret_cast<HopperShared<Shape>*>(memory + (1024 - shared_address(memory) % 1024) % 1024);
  if (threadIdx.x == 0) {
    sm90::init_barrier(&shared.q_full, 1);
    sm90::init_barrier(&shared.q_empty, Shape::kConsumers * 4);
    for (int i = 0; i < Shape::kStages; ++i) {
      sm90::init_barrier(&shared.k_full[i], 1);
      sm90::init_barrier(&shared.v_full[i], 1);
      sm90::init_barrier(&shared.k_empty[i], Shape::kConsumers * 4);
      sm90::init_barrier(&shared.v_empty[i], Shape::kConsumers * 4);
    }
    sm90::fence_barriers();
  }
  __syncthreads();
  // Of the 512 registers for one thread of each warpgroup, the one that copies needs few.
  constexpr bool two = Shape::kConsumers == 2;
  if (threadIdx.x < 128) {
    sm90::give_registers<two ? 24 : 32>();
    if (threadIdx.x == 0) produce<Shape>(shared, call, q, k, v);
  } else {
    sm90::take_registers<two ? 240 : 160>();
    consume<T, Shape>(shared, call, out);
  }
#else
  __trap();
#endif
}

using EncodeTiled = decltype(&cuTensorMapEncodeTiled);

EncodeTiled find_encode_tiled() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  check(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found),
        "finding the driver");
  check(found == cudaDriverEntryPointSuccess ? cudaSuccess : cudaErrorCallRequiresNewerDriver,
        "finding cuTensorMapEncodeTiled");
  return reinterpret_cast<EncodeTiled>(function);
}

// Boxes of `rows` rows × 64 columns, one head's.
CUtensorMap make_map(const Matrix& x, int rows) {
  static const EncodeTiled encode = find_encode_tiled();
  CUtensorMap map;
  const bool is_half = x.dtype == DType::f16;
  const cuuint64_t sizes[3] = {static_cast<cuuint64_t>(x.columns), static_cast<cuuint64_t>(x.rows),
                               static_cast<cuuint64_t>(x.batches)};
  const int64_t batch_stride = x.batches > 1 ? x.batch_stride : x.rows * x.row_stride;
  const cuuint64_t strides[2] = {static_cast<cuuint64_t>(x.row_stride) * 2, static_cast<cuuint64_t>(batch_stride) * 2};
  const cuuint32_t box[3] = {kTileColumns, static_cast<cuuint32_t>(rows), 1}, steps[3] = {1, 1, 1};
  const CUresult result = encode(&map, is_half ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, x.data,
                                 sizes, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                 CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  check(result == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue, "describing attention's tensors");
  return map;
}

template <class T, class Shape>
void launch_sm90(const Card& card, cudaStream_t stream, const AttentionArgs& args) {
  constexpr int kBytes = sizeof(HopperShared<Shape>) + 1024;
  const auto kernel = attention_sm90_kernel<T, Shape>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes), "preparing attention");
  HopperCall call;
  call.queries = static_cast<int>(args.q.rows), call.keys = static_cast<int>(args.k.rows),
  call.heads = static_cast<int>(args.heads);
  call.query_tiles = ceil_div(call.queries, Shape::kRows), call.key_tiles = ceil_div(call.keys, Shape::kKeys);
  call.tiles = call.query_tiles * call.heads * static_cast<int>(args.q.batches);
  call.scale = args.scale * kLog2E;
  kernel<<<static_cast<unsigned>(std::min(call.tiles, card.multiprocessors)), Shape::kThreads, kBytes, stream>>>(
      make_map(args.q, Shape::kRows), make_map(args.k, Shape::kKeys), make_map(args.v, Shape::kKeys), call,
      AttentionRows<T>(args.out));
  check(cudaGetLastError(), "attention");
}

}  // namespace

bool attention_sm90_takes(const Card& card, const AttentionArgs& args) {
  return card.capability == 90 && args.head_dim == 64 && !args.causal && !args.bias && attention_is_aligned(card, args);
}

// Three warpgroups hide one another's exponentials better than two, by an eighth per row, but two leave fewer rows idle in the
// last round.
template <class T>
void choose_sm90(const Card& card, cudaStream_t stream, const AttentionArgs& args) {
  const auto rounds_of = [&](int rows) {
    return ceil_div(ceil_div(args.q.rows, rows) * args.heads * args.q.batches, card.multiprocessors) * rows;
  };
  if (rounds_of(192) * 7 <= rounds_of(128) * 8) launch_sm90<T, HopperShape<3>>(card, stream, args);
  else launch_sm90<T, HopperShape<2>>(card, stream, args);
}

void attention_sm90(const Card& card, cudaStream_t stream, const AttentionArgs& args) {
  if (args.q.dtype == DType::f16) choose_sm90<__half>(card, stream, args);
  else choose_sm90<__nv_bfloat16>(card, stream, args);
}

}  // namespace fude::cuda
