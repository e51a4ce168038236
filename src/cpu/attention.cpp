// Attention through oneDNN: softmax(scale·q·kᵀ + bias)·v, one tile of queries at a time.
//
// The scores of a tile against all keys stay in a core's cache; the full score matrix never exists. The keys and values of each
// head are packed once, in the layout the GEMMs want, for all its tiles. The queries and results of a tile are copied from and
// to contiguous rows: from AVX-512 on, oneDNN's packed GEMMs take no strides, and with strides fall back to plain loops,
// hundreds of times slower. Limited by the two GEMMs (4·queries·keys·head_dim operations per head).

#include <algorithm>

#include "core/thread_team.h"
#include "cpu/amx_gemm.h"
#include "cpu/onednn.h"
#include "cpu/onednn_ops.h"
#include "cpu/rows.h"

namespace fude {

namespace {

using cpu::is_tuned;
using dnnl::memory;

constexpr int64_t kScoreBytes = 512 << 10;  // of f32 scores: half of a common L2 cache

int64_t round_up(int64_t n) { return (n + 63) / 64 * 64; }
int64_t bytes_of(const memory::desc& desc) { return round_up(static_cast<int64_t>(desc.get_size())); }

bool is_tiled(const Tensor& q, int64_t head_dim) {
  return q.dtype == DType::bf16 && head_dim % cpu::kTileK == 0 && cpu::has_tiles();
}

// Query rows of a tile: as many as the cache holds, in multiples of 16.
int64_t tile_rows(int64_t queries, int64_t keys) {
  return std::min(queries, std::clamp<int64_t>(kScoreBytes / (keys * 4) / 16 * 16, 16, 128));
}

}  // namespace

CpuDevice::Products::AttentionTile CpuDevice::Products::attention_tile(const AttentionCall& call, int64_t rows) {
  const int64_t keys = call.k.dim(1);
  const int64_t d = call.head_dim;
  const DType t = call.q.dtype;
  return {matmul({rows, keys, d, t, DType::f32}), matmul({rows, d, keys, t, t})};
}

// The workspace: packed keys of every head, packed values of every head, then for each thread: a tile's queries (overwritten by
// its results), its scores, its weights (the scores after softmax; in f32 they overwrite the scores), and oneDNN's scratch.
struct CpuDevice::Products::AttentionPlan {
  AttentionPlan(Products& products, const AttentionCall& call)
      : rows(tile_rows(call.q.dim(1), call.k.dim(1))),
        whole(products.attention_tile(call, rows)),
        rest(call.q.dim(1) % rows ? products.attention_tile(call, call.q.dim(1) % rows) : whole),
        heads(call.q.dim(0) * call.options.heads),
        key_bytes(bytes_of(whole.scores.pd.weights_desc())),
        value_bytes(bytes_of(whole.values.pd.weights_desc())),
        query_bytes(round_up(rows * call.head_dim * size_of(call.q.dtype))),
        score_bytes(round_up(rows * call.k.dim(1) * 4)),
        weight_bytes(call.q.dtype == DType::f32 ? 0 : round_up(rows * call.k.dim(1) * size_of(call.q.dtype))),
        scratch_bytes(std::max({bytes_of(whole.scores.pd.scratchpad_desc()), bytes_of(whole.values.pd.scratchpad_desc()),
                                bytes_of(rest.scores.pd.scratchpad_desc()), bytes_of(rest.values.pd.scratchpad_desc())})) {}

  int64_t thread_bytes() const { return query_bytes + score_bytes + weight_bytes + scratch_bytes; }
  int64_t bytes(int threads) const { return heads * (key_bytes + value_bytes) + threads * thread_bytes(); }

  int64_t rows;
  AttentionTile whole, rest;
  int64_t heads, key_bytes, value_bytes, query_bytes, score_bytes, weight_bytes, scratch_bytes;
};

int64_t CpuDevice::workspace(const AttentionCall& call) const {
  if (is_tiled(call.q, call.head_dim)) return amx_workspace(call);
  return is_tuned(call.q.dtype) ? Products::AttentionPlan(*products_, call).bytes(team_->size()) : 0;
}

void CpuDevice::do_attention(const AttentionCall& call, void* workspace_begin) {
  if (is_tiled(call.q, call.head_dim)) return attend_on_amx(call, workspace_begin);
  if (!is_tuned(call.q.dtype)) return ReferenceDevice::do_attention(call, workspace_begin);
  const Products::AttentionPlan plan(*products_, call);
  const int64_t queries = call.q.dim(1);
  const int64_t keys = call.k.dim(1);
  const int64_t d = call.head_dim;
  const int64_t heads = call.options.heads;
  const int64_t tiles = (queries + plan.rows - 1) / plan.rows;
  const int64_t element = size_of(call.q.dtype);
  const dnnl::engine& engine = products_->engine;
  const dnnl::memory::data_type type = cpu::dnnl_type(call.q.dtype);
  char* const packed_keys = static_cast<char*>(workspace_begin);
  char* const packed_values = packed_keys + plan.heads * plan.key_bytes;
  char* const threads_begin = packed_values + plan.heads * plan.value_bytes;
  // Row `row` of head `index`; heads are counted through the batch.
  const auto head = [&](const Tensor& t, int64_t index, int64_t row) {
    return static_cast<char*>(t.data) + (index / heads * t.stride[0] + row * t.stride[1] + index % heads * d) * element;
  };

  team_->run(plan.heads, [&](int64_t h, int) {
    const auto pack = [&](const memory::desc& from, void* source, const memory::desc& to, void* destination) {
      cpu::reorder({from, engine, source}, {to, engine, destination});
    };
    pack({{d, keys}, type, memory::dims{1, call.k.stride[1]}}, head(call.k, h, 0), plan.whole.scores.pd.weights_desc(),
         packed_keys + h * plan.key_bytes);
    pack({{keys, d}, type, memory::dims{call.v.stride[1], 1}}, head(call.v, h, 0), plan.whole.values.pd.weights_desc(),
         packed_values + h * plan.value_bytes);
  });

  team_->run(plan.heads * tiles, [&](int64_t task, int thread) {
    const int64_t h = task / tiles;
    const int64_t first = task % tiles * plan.rows;
    const int64_t rows = std::min(plan.rows, queries - first);
    const auto& [scores_matmul, values_matmul] = rows == plan.rows ? plan.whole : plan.rest;
    char* const tile = threads_begin + thread * plan.thread_bytes();
    char* const scores = tile + plan.query_bytes;
    char* const weights = plan.weight_bytes ? scores + plan.score_bytes : scores;
    char* const scratch = scores + plan.score_bytes + plan.weight_bytes;
    const auto multiply = [&](const Products::Matmul& matmul, void* x, void* w, void* out) {
      const auto& pd = matmul.pd;
      cpu::execute(matmul.run, engine,
                   {{DNNL_ARG_SRC, memory(pd.src_desc(), engine, x)},
                    {DNNL_ARG_WEIGHTS, memory(pd.weights_desc(), engine, w)},
                    {DNNL_ARG_DST, memory(pd.dst_desc(), engine, out)},
                    {DNNL_ARG_SCRATCHPAD, memory(pd.scratchpad_desc(), engine, scratch)}});
    };
    for (int64_t r = 0; r < rows; ++r) std::copy_n(head(call.q, h, first + r), d * element, tile + r * d * element);
    multiply(scores_matmul, tile, packed_keys + h * plan.key_bytes, scores);
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t seen = call.options.causal ? first + r + 1 : keys;
      char* const row = weights + r * keys * element;
      const Tensor& bias = call.options.bias;
      const float* bias_row = bias ? bias.as<float>() + h % heads * bias.stride[0] + (first + r) * bias.stride[1] : nullptr;
      cpu::row_kernels().softmax({row, call.q.dtype == DType::bf16}, reinterpret_cast<float*>(scores) + r * keys, seen,
                                 call.options.scale, bias_row);
      std::fill(row + seen * element, row + keys * element, char{0});
    }
    multiply(values_matmul, weights, packed_values + h * plan.value_bytes, tile);
    for (int64_t r = 0; r < rows; ++r) std::copy_n(tile + r * d * element, d * element, head(call.out, h, first + r));
  });
}

}  // namespace fude
