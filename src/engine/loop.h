// A batch's evaluations, on memory that stays where it is, so that the work of each is the same: what changes from one to the
// next is copied to where the loop expects it, and a device may replay the rest.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>

#include "core/ops.h"
#include "diffusion/guidance.h"
#include "diffusion/samplers.h"
#include "engine/prediction.h"
#include "model/mmdit.h"

namespace fude {

// How pictures are moved from noise to latents.
struct Method {
  const Sampler& sampler;
  const Guidance& guidance;
  bool skips;  // at one of its steps
};

// A run of steps' evaluations, with what all pictures share.
struct Steps {
  int64_t begin, end;   // evaluations
  Tensor modulations;   // f32 [evaluations·prompts, columns]
  Tensor coefficients;  // f32 [evaluations, parts·terms]
};

class Loop {
 public:
  // `one`: the conditioning of one picture, a row for each prompt, the negative one first.
  Loop(Ops& op, const MmditGeometry& geometry, const Conditioning& one, const Method& method, int64_t batch, int64_t height,
       int64_t width);

  int64_t batch() const { return x_.dim(0); }
  const Tensor& x() const { return x_; }  // f32 [batch, channels, height, width]: the latents
  Tensor slot(int64_t i) const { return state_.batch((1 + i) * batch(), (2 + i) * batch()); }  // of the same shape
  const Tensor& noise() const { return noise_; }  // the same, of a sampler that draws it

  // Evaluation `index` of `steps`: x, and slots, become what they are afterwards.
  void evaluate(Ops& op, const MmditGeometry& geometry, MmditLayers& layers, const Steps& steps, int64_t index, bool skipping,
                StepCosts& costs);

 private:
  void issue(Ops& op, const MmditGeometry& geometry, MmditLayers& layers, bool skipping, StepCosts& costs) const;
  // visit(row, prompt) for each kind's rows.
  template <class Visit>
  void for_each_row(int64_t kinds, const Visit& visit) const {
    for (int64_t row = 0; row < kinds * batch(); ++row) visit(row, std::min(row / batch(), prompts_ - 1));
  }

  const Method method_;
  const int64_t prompts_;
  Tensor state_, x_, noise_, modulation_, coefficients_;
  Conditioning conditioning_;
  std::array<std::unique_ptr<DeviceGraph>, 2> graphs_;  // without rows that skip layers, and with them
};

}  // namespace fude
