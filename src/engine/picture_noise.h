// The random numbers that a picture is made of: where its latents begin, and what samplers add between steps.
#pragma once

#include <optional>
#include <vector>

#include "core/ops.h"
#include "engine/latents.h"
#include "fude/fude.h"

namespace fude {

// Its seed's, or with a variation those between two seeds'.
class PictureNoise {
 public:
  explicit PictureNoise(const Request& single) : own_(single.noise, single.seed) {
    if (!single.variation) return;
    other_.emplace(single.noise, single.variation->seed);
    amount_ = single.variation->amount;
  }

  // The next draw: f32 [1, channels, height, width].
  Tensor next(Ops& op, int64_t channels, int64_t height, int64_t width) {
    const Tensor own = op.noise(own_, {1, channels, height, width});
    if (!other_) return own;
    const Tensor other = op.noise(*other_, {1, channels, height, width});
    const auto values_of = [&](const Tensor& x) {
      std::vector<float> values(static_cast<size_t>(x.numel()));
      op.download(x, values.data());
      return values;
    };
    const std::vector<float> between = op.measuring() ? std::vector<float>() : slerp(values_of(own), values_of(other), amount_);
    return op.upload(between.data(), DType::f32, {1, channels, height, width});
  }

 private:
  TorchGenerator own_;
  std::optional<TorchGenerator> other_;
  double amount_ = 0;
};

}  // namespace fude
