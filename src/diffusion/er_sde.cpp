// ER-SDE-Solver-3, in lambda = sigma / (1 − sigma), which is ∞ where a schedule begins: formulas are their limits there.
#include <algorithm>
#include <cmath>
#include <limits>

#include "diffusion/solvers.h"

namespace fude {

namespace {

double lambda(double sigma) { return sigma < 1 ? sigma / (1 - sigma) : std::numeric_limits<double>::infinity(); }
double noise_scale(double lambda) { return lambda * (std::exp(std::pow(lambda, 0.3)) + 10); }

// Of f from t to s, as the reference sums it up.
template <class F>
double integral(double t, double s, const F& f) {
  constexpr int kPoints = 200;
  const double width = (s - t) / kPoints;
  double sum = 0;
  for (int i = 0; i < kPoints; ++i) sum += f(t + i * width) * width;
  return sum;
}

}  // namespace

Evaluations er_sde(Sigmas sigmas) {
  const Sum picture_before = slot(0), slope_before = slot(1);
  Evaluations all;
  for (size_t i = 0; i + 1 < sigmas.size(); ++i) {
    const double s = lambda(sigmas[i]), t = lambda(sigmas[i + 1]);
    const double alpha = 1 - static_cast<double>(sigmas[i + 1]);
    const bool is_noise = sigmas[i] >= 1;  // and nothing of a picture: x itself does not count
    const Sum picture = denoised(sigmas[i]);
    Sum x = picture, slope;
    if (t > 0) {
      const double r = noise_scale(t) / noise_scale(s);
      x = (is_noise ? 0 : alpha / (1 - sigmas[i]) * r) * kX + alpha * (1 - r) * picture;
      if (i > 0) {
        slope = 1 / (s - lambda(sigmas[i - 1])) * (picture - picture_before);
        const double step = t - s;
        const double area = integral(t, s, [](double at) { return 1 / noise_scale(at); });
        x += alpha * (step + area * noise_scale(t)) * slope;
        if (i > 1) {
          const double moment = integral(t, s, [&](double at) { return (at - s) / noise_scale(at); });
          const Sum bend = 2 / (s - lambda(sigmas[i - 2])) * (slope - slope_before);
          x += alpha * (step * step / 2 + moment * noise_scale(t)) * bend;
        }
      }
      const double kept = is_noise ? 0 : s * r;
      x += alpha * std::sqrt(std::max(0.0, t * t - kept * kept)) * kNoise;
    }
    all.push_back({static_cast<int64_t>(i), sigmas[i], x, {picture, slope}});
  }
  return all;
}

}  // namespace fude
