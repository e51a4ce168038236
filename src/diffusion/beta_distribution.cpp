// The inverse of the regularised incomplete beta function, by its continued fraction and bisection.
#include "diffusion/beta_distribution.h"

#include <cmath>

namespace fude {

namespace {

// The continued fraction of the incomplete beta function, by Lentz's method (Numerical Recipes, section 6.4). It converges fast
// for x below (alpha + 1) / (alpha + beta + 2).
double fraction(double x, double alpha, double beta) {
  constexpr double kTiny = 1e-300, kEnough = 1e-16;
  const auto inverse = [](double value) { return 1 / (std::abs(value) < kTiny ? kTiny : value); };
  double c = 1, d = inverse(1 - (alpha + beta) * x / (alpha + 1)), result = d;
  for (int m = 1; m < 300; ++m) {
    const double even = m * (beta - m) * x / ((alpha + 2 * m - 1) * (alpha + 2 * m));
    d = inverse(1 + even * d);
    c = 1 + even / c;
    result *= d * c;
    const double odd = -(alpha + m) * (alpha + beta + m) * x / ((alpha + 2 * m) * (alpha + 2 * m + 1));
    d = inverse(1 + odd * d);
    c = 1 + odd / c;
    result *= d * c;
    if (std::abs(d * c - 1) < kEnough) break;
  }
  return result;
}

double incomplete_beta(double x, double alpha, double beta) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (alpha + 1) / (alpha + beta + 2)) return 1 - incomplete_beta(1 - x, beta, alpha);
  const double log_beta = std::lgamma(alpha) + std::lgamma(beta) - std::lgamma(alpha + beta);
  return std::exp(alpha * std::log(x) + beta * std::log1p(-x) - log_beta) * fraction(x, alpha, beta) / alpha;
}

}  // namespace

double beta_quantile(double part, double alpha, double beta) {
  if (part <= 0) return 0;
  if (part >= 1) return 1;
  double low = 0, high = 1;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (incomplete_beta(middle, alpha, beta) < part ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace fude
