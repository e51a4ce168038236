// T5 v1.1's encoder (Raffel et al. 2020; transformers' T5EncoderModel).
#pragma once

#include <cstdint>
#include <vector>

#include "offload/layer_stream.h"
#include "weights/components/t5.h"

namespace fude {

struct T5 {
  T5(Device& device, WeightFormat format, const WeightSource& source);

  void use(const WeightSource& source);  // from now on; see Layers
  // Calls each(name in plans, part).
  template <class Self, class Each>
  static void for_each_part(Self& self, const Each& each) {
    each(name_of(Component::t5), self.layers);
    each(name_of(Component::t5), self.final_norm);
  }

  WeightSource source;
  T5Geometry geometry;
  Layers<T5Layer> layers;
  Whole<Norm> final_norm;
  T5Tables tables;
};

// What a forward pass goes through, once.
struct T5Layers {
  T5Layers(Ops& op, T5& t5) : halves(op, t5.layers, 1), final_norm(op, t5.final_norm) {}

  LayerStream<T5Layer> halves;  // of blocks
  OnDevice<Norm> final_norm;
};

// ids [b][tokens], padding included: padded positions attend and are attended to. -> [b, tokens, d_model].
Tensor t5_forward(Ops& op, const T5& t5, T5Layers& layers, const std::vector<std::vector<int32_t>>& ids);

// The bucket of a key that stands `distance` after its query (T5 paper, section 2.1; bidirectional).
int64_t relative_position_bucket(int64_t distance, int64_t buckets, int64_t max_distance);

}  // namespace fude
