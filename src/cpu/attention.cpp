// softmax(scale·q·kᵀ + bias)·v for a tile of queries at a time: the scores of a tile against all keys stay in a core's cache and
// are never materialised as a whole. Limited by the two products (4·queries·keys·head_dim operations per head).

#include <algorithm>
#include <vector>

#include "cpu/parallel.h"
#include "cpu/products.h"
#include "cpu/rows.h"

namespace fude {

namespace {

using cpu::is_tuned;
using dnnl::memory;

constexpr int64_t kTileBytes = 512 << 10;  // of f32 scores: half of a common second-level cache

int64_t round_up(int64_t n) { return (n + 63) / 64 * 64; }

// What one thread needs for a tile of `queries` rows.
struct Tile {
  int64_t queries, keys;
  DType dtype;
  int64_t scores_bytes() const { return round_up(queries * keys * 4); }
  int64_t weights_bytes() const { return round_up(queries * keys * size_of(dtype)); }
};

// The tile's rows: as many as the cache holds, in multiples of 16.
Tile tile_for(int64_t queries, int64_t keys, DType dtype) {
  const int64_t rows = std::clamp<int64_t>(kTileBytes / (keys * 4) / 16 * 16, 16, 128);
  return {std::min(rows, queries), keys, dtype};
}

}  // namespace

CpuBackend::Products::AttentionTile CpuBackend::Products::attention_tile(const AttentionCall& call, int64_t rows) {
  const int64_t keys = call.k.dim(1), d = call.head_dim;
  const DType t = call.q.dtype;
  return {product({rows, keys, d, call.q.stride[1], 1, call.k.stride[1], keys, t, DType::f32}),
          product({rows, d, keys, keys, call.v.stride[1], 1, call.out.stride[1], t, t})};
}

int64_t CpuBackend::workspace(const AttentionCall& call) const {
  if (!is_tuned(call.q.dtype)) return 0;
  const Tile tile = tile_for(call.q.dim(1), call.k.dim(1), call.q.dtype);
  int64_t scratch = 0;
  for (int64_t rows : {tile.queries, call.q.dim(1) % tile.queries}) {
    if (rows == 0) continue;
    const auto [scores, values] = products_->attention_tile(call, rows);
    for (const auto* pd : {&scores, &values}) scratch = std::max(scratch, round_up(static_cast<int64_t>(pd->scratchpad_desc().get_size())));
  }
  return threads_ * (tile.scores_bytes() + tile.weights_bytes() + scratch);
}

void CpuBackend::do_attention(const AttentionCall& call, void* memory_begin) {
  if (!is_tuned(call.q.dtype)) return ReferenceBackend::do_attention(call, memory_begin);
  const int64_t queries = call.q.dim(1), keys = call.k.dim(1), d = call.head_dim, heads = call.options.heads;
  const Tile tile = tile_for(queries, keys, call.q.dtype);
  const int64_t tiles = (queries + tile.queries - 1) / tile.queries, batch = call.q.dim(0);
  const int64_t per_thread = workspace(call) / threads_;
  const auto whole = products_->attention_tile(call, tile.queries);
  const auto rest = queries % tile.queries ? products_->attention_tile(call, queries % tile.queries) : whole;
  const dnnl::engine& engine = products_->engine;
  const bool is_bf16 = call.q.dtype == DType::bf16;

  cpu::parallel_tasks(threads_, batch * heads * tiles, [&](int64_t task, int thread) {
    const int64_t b = task / (heads * tiles), h = task / tiles % heads, first = task % tiles * tile.queries;
    const int64_t rows = std::min(tile.queries, queries - first);
    const auto& [scores_pd, values_pd] = rows == tile.queries ? whole : rest;
    char* const mine = static_cast<char*>(memory_begin) + thread * per_thread;
    auto* const scores = reinterpret_cast<float*>(mine);
    char* const weights = mine + tile.scores_bytes();
    char* const scratch = weights + tile.weights_bytes();
    const auto head = [&](const Tensor& t, int64_t row) {
      return static_cast<char*>(t.data) + (b * t.stride[0] + row * t.stride[1] + h * d) * size_of(t.dtype);
    };
    dnnl::stream stream(engine);
    const auto multiply = [&](const dnnl::matmul::primitive_desc& pd, void* x, void* w, void* out) {
      dnnl::matmul(pd).execute(stream, {{DNNL_ARG_SRC, memory(pd.src_desc(), engine, x)},
                                        {DNNL_ARG_WEIGHTS, memory(pd.weights_desc(), engine, w)},
                                        {DNNL_ARG_DST, memory(pd.dst_desc(), engine, out)},
                                        {DNNL_ARG_SCRATCHPAD, memory(pd.scratchpad_desc(), engine, scratch)}});
    };
    multiply(scores_pd, head(call.q, first), head(call.k, 0), scores);
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t seen = call.options.causal ? first + r + 1 : keys;
      char* const row = weights + r * keys * size_of(call.q.dtype);
      const Tensor& bias = call.options.bias;
      const float* bias_row = bias ? bias.as<float>() + h * bias.stride[0] + (first + r) * bias.stride[1] : nullptr;
      cpu::row_kernels().softmax({row, is_bf16}, scores + r * keys, seen, call.options.scale, bias_row);
      std::fill(row + seen * size_of(call.q.dtype), row + keys * size_of(call.q.dtype), char{0});
    }
    multiply(values_pd, weights, head(call.v, 0), head(call.out, first));
  });
}

}  // namespace fude
