// The memory of a batch, and the work of one evaluation on it.
#include "engine/loop.h"

namespace fude {

Loop::Loop(Ops& op, const MmditGeometry& geometry, const Conditioning& one, const Method& method, int64_t batch, int64_t height,
           int64_t width)
    : method_(method), prompts_(one.context.dim(0)), conditioning_(one) {
  const int64_t channels = geometry.channels, parts = 1 + method.sampler.slots;
  const int64_t kinds = method.guidance.kinds(method.skips);
  state_ = op.empty({parts * batch, channels, height, width}, DType::f32);
  x_ = state_.batch(0, batch);
  modulation_ = op.empty({kinds * batch, modulation_columns(geometry)}, DType::f32);
  coefficients_ = op.empty({parts, parts + (method.sampler.draws_noise ? 2 : 1)}, DType::f32);
  if (method.sampler.draws_noise) noise_ = op.empty({batch, channels, height, width}, DType::f32);
  if (kinds * batch == prompts_) return;
  conditioning_.context = op.empty({kinds * batch, one.context.dim(1), one.context.dim(2)});
  for_each_row(kinds, [&](int64_t row, int64_t prompt) {
    op.copy(conditioning_.context.batch(row, row + 1), one.context.batch(prompt, prompt + 1));
  });
}

void Loop::evaluate(Ops& op, const MmditGeometry& geometry, MmditLayers& layers, const Steps& steps, int64_t index,
                    bool skipping, StepCosts& costs) {
  const int64_t at = index - steps.begin;
  for_each_row(method_.guidance.kinds(skipping), [&](int64_t row, int64_t prompt) {
    op.copy(modulation_.rows(row, row + 1), steps.modulations.rows(at * prompts_ + prompt, at * prompts_ + prompt + 1));
  });
  op.copy(coefficients_.view({1, coefficients_.numel()}), steps.coefficients.rows(at, at + 1));
  op.replay(graphs_[skipping], [&] { issue(op, geometry, layers, skipping, costs); });
}

void Loop::issue(Ops& op, const MmditGeometry& geometry, MmditLayers& layers, bool skipping, StepCosts& costs) const {
  auto scratch = op.scope();
  const int64_t n = batch(), kinds = method_.guidance.kinds(skipping);
  Tensor rows = x_;
  if (kinds > 1) {
    rows = op.empty({kinds * n, x_.dim(1), x_.dim(2), x_.dim(3)}, DType::f32);
    for (int64_t kind = 0; kind < kinds; ++kind) op.copy(rows.batch(kind * n, (kind + 1) * n), x_);
  }
  const StageMark mark(op, costs.work);
  costs.count += op.times();
  const Conditioning conditioning{conditioning_.context.batch(0, kinds * n), conditioning_.pos};
  SkippedRows skipped;
  if (skipping) skipped = {method_.guidance.skipped_layers, 2 * n};
  const Tensor velocities = mmdit_forward(op, geometry, layers, modulation_.rows(0, kinds * n), conditioning, rows, skipped);
  op.combine({.state = state_,
              .v = method_.guidance.velocity(op, velocities, skipping),
              .noise = noise_,
              .coefficients = coefficients_});
}

}  // namespace fude
