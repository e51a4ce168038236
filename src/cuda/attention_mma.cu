// Flash attention for heads of 64 on tensor cores through mma.sync (sm_75 and later): out = softmax(scale·q·kᵀ + bias)·v.
//
// A block owns 128 queries of one head and loops over tiles of keys. Each warp keeps 32 queries, their 32×64 scores and their
// output in registers, so scores never leave them; two row tiles share every key fragment read from shared memory. The online
// softmax runs in base 2 with the scale folded in: a new running max rescales sum and output. Keys and values pass through a
// ring of shared tiles filled by cp.async. Limit: tensor cores, then the exponentials.
#include "cuda/attention_tile.cuh"
#include "cuda/kernel.cuh"

namespace fude::cuda {
namespace {

// Rows and columns of the scores that a thread holds: s[r][c][2·h + e] is query r·16 + 8·h + lane/4, key c·8 + lane%4·2 + e.
template <class Shape>
struct Scores {
  float s[Shape::kRowTiles][Shape::kKeys / 8][4];
};

template <class Shape>
struct Softmax {
  float max[Shape::kRowTiles][2], sum[Shape::kRowTiles][2];  // running max and sum; sum is this lane's share

  __device__ Softmax() {
    for (int r = 0; r < Shape::kRowTiles; ++r) {
      for (int h = 0; h < 2; ++h) max[r][h] = -INFINITY, sum[r][h] = 0;
    }
  }

  // Turns scores into probabilities relative to the running max; where that must grow, sum and output are rescaled. A row whose
  // scores are all −∞ or hold NaN turns to NaN by itself, as it must; masked keys cannot cause it, for key 0 is never masked.
  __device__ void update(Scores<Shape>& scores, float (&o)[Shape::kRowTiles][8][4], float scale) {
    float new_max[Shape::kRowTiles][2];
    bool grows = false;
#pragma unroll
    for (int r = 0; r < Shape::kRowTiles; ++r) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        new_max[r][h] = max[r][h];
#pragma unroll
        for (int c = 0; c < Shape::kKeys / 8; ++c) {
          new_max[r][h] = fmaxf(new_max[r][h], fmaxf(scores.s[r][c][2 * h], scores.s[r][c][2 * h + 1]));
        }
        new_max[r][h] = quad_max(new_max[r][h]);
        grows |= new_max[r][h] * scale > max[r][h] * scale + kRescaleThreshold;
      }
    }
    if (__any_sync(0xffffffffu, grows)) rescale(new_max, o, scale);
#pragma unroll
    for (int r = 0; r < Shape::kRowTiles; ++r) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const float shift = max[r][h] * scale;
#pragma unroll
        for (int c = 0; c < Shape::kKeys / 8; ++c) {
#pragma unroll
          for (int e = 2 * h; e < 2 * h + 2; ++e) {
            scores.s[r][c][e] = exp2_fast(fmaf(scores.s[r][c][e], scale, -shift));
            sum[r][h] += scores.s[r][c][e];
          }
        }
      }
    }
  }

  __device__ void rescale(const float (&new_max)[Shape::kRowTiles][2], float (&o)[Shape::kRowTiles][8][4], float scale) {
#pragma unroll
    for (int r = 0; r < Shape::kRowTiles; ++r) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const float ratio = exp2_fast((max[r][h] - new_max[r][h]) * scale);
        max[r][h] = new_max[r][h];
        sum[r][h] *= ratio;
#pragma unroll
        for (int c = 0; c < 8; ++c) o[r][c][2 * h] *= ratio, o[r][c][2 * h + 1] *= ratio;
      }
    }
  }
};

// f(score, row, key) for every score of this thread.
template <class Shape, class F>
__device__ inline void for_each_score(Scores<Shape>& scores, int first_row, int first_key, F&& f) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int r = 0; r < Shape::kRowTiles; ++r) {
#pragma unroll
    for (int c = 0; c < Shape::kKeys / 8; ++c) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        f(scores.s[r][c][e], first_row + r * 16 + e / 2 * 8 + lane / 4, first_key + c * 8 + lane % 4 * 2 + e % 2);
      }
    }
  }
}

template <class Shape, class T>
__device__ inline void multiply_keys(Scores<Shape>& scores, const uint32_t (&q)[Shape::kRowTiles][4][4], const T* keys) {
#pragma unroll
  for (int c = 0; c < Shape::kKeys / 16; ++c) {
#pragma unroll
    for (int r = 0; r < Shape::kRowTiles; ++r) {
#pragma unroll
      for (int e = 0; e < 4; ++e) scores.s[r][2 * c][e] = scores.s[r][2 * c + 1][e] = 0;
    }
#pragma unroll
    for (int step = 0; step < 4; ++step) {
      uint32_t b[4];
      load_b(b, keys, c * 16, step);
#pragma unroll
      for (int r = 0; r < Shape::kRowTiles; ++r) {
        mma_16x8x16<T>(scores.s[r][2 * c], q[r][step], b[0], b[1]);
        mma_16x8x16<T>(scores.s[r][2 * c + 1], q[r][step], b[2], b[3]);
      }
    }
  }
}

template <class Shape, class T>
__device__ inline void multiply_values(float (&o)[Shape::kRowTiles][8][4], const Scores<Shape>& probabilities,
                                       const T* values) {
#pragma unroll
  for (int step = 0; step < Shape::kKeys / 16; ++step) {
    uint32_t a[Shape::kRowTiles][4];
#pragma unroll
    for (int r = 0; r < Shape::kRowTiles; ++r) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const float(&p)[4] = probabilities.s[r][2 * step + e / 2];
        a[r][e] = pack<T>(p[e % 2 * 2], p[e % 2 * 2 + 1]);
      }
    }
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      uint32_t b[4];
      load_b_transposed(b, values, step * 16, c);
#pragma unroll
      for (int r = 0; r < Shape::kRowTiles; ++r) {
        mma_16x8x16<T>(o[r][2 * c], a[r], b[0], b[1]);
        mma_16x8x16<T>(o[r][2 * c + 1], a[r], b[2], b[3]);
      }
    }
  }
}

template <class T, class Shape, bool kCausal, bool kBias>
__device__ __forceinline__ void run(const AttentionMmaKernel<T, Shape, kCausal, kBias>& kernel) {
  const AttentionCall<T>& call = kernel.call;
  extern __shared__ __align__(128) unsigned char shared[];
  T* const ring = reinterpret_cast<T*>(shared);
  T* const query_tile = ring + (Shape::kStages - 1) * Shape::kStageElements;

  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int first_query = static_cast<int>(blockIdx.x) * Shape::kRows, warp_row = warp * Shape::kRowTiles * 16;
  const int head = static_cast<int>(blockIdx.y), batch = static_cast<int>(blockIdx.z);
  const T* const keys = call.k.at(batch, 0, head * kHeadDim);
  const T* const values = call.v.at(batch, 0, head * kHeadDim);
  const int visible = kCausal ? min(call.keys, first_query + Shape::kRows) : call.keys;
  const int tiles = ceil_div(visible, Shape::kKeys);

  const auto load = [&](int tile) {
    if (tile < tiles) {
      T* const stage = ring + tile % Shape::kStages * Shape::kStageElements;
      load_tile<Shape::kKeys, Shape::kThreads>(stage, keys, call.k.row_stride, tile * Shape::kKeys, call.keys);
      load_tile<Shape::kKeys, Shape::kThreads>(stage + Shape::kStageElements / 2, values, call.v.row_stride,
                                               tile * Shape::kKeys, call.keys);
    }
    cp_async_commit();
  };

  load_tile<Shape::kRows, Shape::kThreads>(query_tile, call.q.at(batch, 0, head * kHeadDim), call.q.row_stride, first_query,
                                           call.queries);
  cp_async_commit();
  for (int tile = 0; tile < Shape::kStages - 1; ++tile) load(tile);
  cp_async_wait<Shape::kStages - 1>();
  __syncthreads();
  uint32_t q[Shape::kRowTiles][4][4];
#pragma unroll
  for (int r = 0; r < Shape::kRowTiles; ++r) {
#pragma unroll
    for (int step = 0; step < 4; ++step) load_a(q[r][step], query_tile, warp_row + r * 16, step);
  }

  float o[Shape::kRowTiles][8][4] = {};
  Softmax<Shape> softmax;
  const float scale = kBias ? 1.0f : call.scale * kLog2E;
  for (int tile = 0; tile < tiles; ++tile) {
    cp_async_wait<Shape::kStages - 2>();
    __syncthreads();
    load(tile + Shape::kStages - 1);

    const T* const stage = ring + tile % Shape::kStages * Shape::kStageElements;
    Scores<Shape> scores;
    multiply_keys<Shape>(scores, q, stage);

    const int first_key = tile * Shape::kKeys, first_row = first_query + warp_row;
    if constexpr (kBias) {
      const float* const bias = call.bias + head * call.bias_head_stride;
      for_each_score(scores, first_row, first_key, [&](float& s, int row, int key) {
        const bool inside = row < call.queries && key < call.keys;
        s = kLog2E * fmaf(s, call.scale, inside ? bias[row * call.bias_query_stride + key] : 0.0f);
      });
    }
    if (first_key + Shape::kKeys > call.keys || (kCausal && first_key + Shape::kKeys > first_row + 1)) {
      for_each_score(scores, first_row, first_key, [&](float& s, int row, int key) {
        if (key >= call.keys || (kCausal && key > row)) s = -INFINITY;
      });
    }
    softmax.update(scores, o, scale);
    multiply_values<Shape>(o, scores, stage + Shape::kStageElements / 2);
  }

#pragma unroll
  for (int r = 0; r < Shape::kRowTiles; ++r) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float inverse = 1.0f / quad_sum(softmax.sum[r][h]);
      const int row = first_query + warp_row + r * 16 + h * 8 + lane / 4;
      if (row >= call.queries) continue;
      T* const out = call.out.at(batch, row, head * kHeadDim + lane % 4 * 2);
#pragma unroll
      for (int c = 0; c < 8; ++c) {
        *reinterpret_cast<uint32_t*>(out + c * 8) = pack<T>(o[r][c][2 * h] * inverse, o[r][c][2 * h + 1] * inverse);
      }
    }
  }
}

}  // namespace

FUDE_ATTENTION_MMA_KERNELS(FUDE_DEFINE_KERNEL)

}  // namespace fude::cuda
