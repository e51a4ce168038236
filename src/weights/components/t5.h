// T5 v1.1's encoder (Raffel et al. 2020; transformers' T5EncoderModel): its sizes, its weights, and how files name and order
// them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "core/weight.h"
#include "weights/config.h"
#include "weights/layouts.h"
#include "weights/loader.h"

namespace fude {

class ComponentTensors;

struct T5Geometry {
  int64_t d_model = 0, d_ff = 0, d_kv = 0, heads = 0, layers = 0;
  int64_t vocab = 0;
  int64_t buckets = 0, max_distance = 128;  // of the relative positions
  float eps = 1e-6f;
};

struct T5Attention {
  Linear qkv, out;
};

struct T5Mlp {
  Linear wi;  // both halves of the gate, rows of wi_0 first
  Linear wo;
};

// Half a T5 block, an attention or an MLP. Halves are streamed by themselves: whole blocks of T5-XXL are 368 MiB each.
struct T5Layer {
  Norm norm;
  std::optional<T5Attention> attention;
  std::optional<T5Mlp> mlp;
};

struct T5Tables {
  Source tokens;
  Source relative_attention_bias;  // [buckets, heads]; block 0's, shared by all
};

extern const std::span<const Layout> kT5Layouts;

T5Geometry t5_geometry(const ComponentTensors& tensors, const Config& config);  // Error{bad_checkpoint}
T5Layer load_t5_layer(Loader& file, const T5Geometry& g, int64_t i);            // 2·layers of them
Norm load_t5_norm(Loader& file, const T5Geometry& g);
T5Tables load_tables(Loader& file, const T5Geometry& g);
void load_all(Loader& file, const T5Geometry& g);

}  // namespace fude
