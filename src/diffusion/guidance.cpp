// When rows skip layers, and the arithmetic of guidance.
#include "diffusion/guidance.h"

namespace fude {

bool Guidance::skips_at(int64_t step, int64_t steps) const {
  const auto i = static_cast<double>(step), n = static_cast<double>(steps);
  return skips() && i > skip_start * n && i < skip_end * n;
}

Tensor Guidance::velocity(Ops& op, const Tensor& rows, bool skipping) const {
  if (!guided()) return rows;
  CfgOptions options{.guidance = scale};
  if (skipping) options.skip_scale = skip_scale;
  const Tensor v = op.cfg(rows, options);
  if (rescale > 0) op.rescale(v, rows.batch(v.dim(0), 2 * v.dim(0)), rescale);
  return v;
}

}  // namespace fude
