// T5 v1.1's encoder (Raffel et al. 2020; transformers' T5EncoderModel).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "offload/layers.h"
#include "weights/geometry.h"

namespace fude {

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

struct T5 {
  T5(Device& device, DType dtype, const Checkpoint& checkpoint);

  T5Geometry geometry;
  Blocks<T5Layer> layers;
  Whole<Norm> final_norm;
  Source token_embedding;
  Source relative_attention_bias;  // [buckets, heads]; block 0's, shared by all
};

// ids [b][tokens], padding included: padded positions attend and are attended to. -> [b, tokens, d_model].
Tensor t5_forward(Ops& op, T5& t5, const std::vector<std::vector<int32_t>>& ids);

// The bucket of a key that stands `distance` after its query (T5 paper, section 2.1; bidirectional).
int64_t relative_position_bucket(int64_t distance, int64_t buckets, int64_t max_distance);

}  // namespace fude
