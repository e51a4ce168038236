// The quantiles of the beta distribution.
#pragma once

namespace fude {

// x in [0, 1] of which the regularised incomplete beta function is `part`, to about 1e-12 (scipy.stats.beta.ppf).
double beta_quantile(double part, double alpha, double beta);

}  // namespace fude
