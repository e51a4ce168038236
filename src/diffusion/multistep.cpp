// Samplers that remember the last steps' answers, in half the logarithm of the signal-to-noise ratio: at sigma 1 it is −∞ and
// at 0 it is ∞, and the formulas hold there as limits.
#include <cmath>
#include <utility>

#include "diffusion/solvers.h"

namespace fude {

namespace {

double lambda(double sigma) { return std::log(1 - sigma) - std::log(sigma); }

// What DPM-Solver++ multiplies in a step from s to t.
struct Factors {
  double x, picture, noise;
};

template <class FactorsOf>
Evaluations second_order(Sigmas sigmas, const FactorsOf& factors_of) {
  Evaluations all;
  double h_before = 0;
  for (size_t i = 0; i + 1 < sigmas.size(); ++i) {
    const double s = sigmas[i], t = sigmas[i + 1];
    const double h = lambda(t) - lambda(s);
    const Factors f = factors_of(s, t, h);
    const Sum picture = denoised(s);
    Sum x = f.x * kX + f.picture * picture + f.noise * kNoise;
    const bool is_last = t == 0;
    if (i > 0 && !is_last) x += 0.5 * f.picture * h / h_before * (picture - slot(0));
    all.push_back({static_cast<int64_t>(i), sigmas[i], x, {picture}});
    h_before = h;
  }
  return all;
}

}  // namespace

Evaluations dpmpp_2m(Sigmas sigmas) {
  return second_order(sigmas, [](double s, double t, double h) { return Factors{t / s, (1 - t) * -std::expm1(-h), 0}; });
}

Evaluations dpmpp_2m_sde(Sigmas sigmas) {
  return second_order(sigmas, [](double s, double t, double h) {
    const double fresh = -std::expm1(-2 * h);
    return Factors{t / s * std::exp(-h), (1 - t) * fresh, t * std::sqrt(fresh)};
  });
}

Evaluations res_multistep(Sigmas sigmas) {
  Evaluations all;
  double h_before = 0;
  for (size_t i = 0; i + 1 < sigmas.size(); ++i) {
    const double s = sigmas[i], t = sigmas[i + 1];
    const double h = std::log(s / t);
    const Sum picture = denoised(s);
    Sum x = kX + (t - s) * kV;
    if (i > 0 && t > 0) {
      const double phi1 = std::expm1(-h) / -h;
      const double phi2 = (phi1 - 1) / -h;
      const double before = -phi2 * h / h_before;
      x = t / s * kX + h * ((phi1 - before) * picture + before * slot(0));
    }
    all.push_back({static_cast<int64_t>(i), sigmas[i], x, {picture}});
    h_before = h;
  }
  return all;
}

Evaluations uni_pc(Sigmas sigmas) {
  const Sum before = slot(0), older = slot(1), corrected_before = slot(2);
  const auto of = [&](size_t i) { return lambda(sigmas[i]); };
  const size_t steps = sigmas.size() - 1;
  Evaluations all;
  bool second_order = false;  // of the step before
  for (size_t i = 0; i < steps; ++i) {
    const double s = sigmas[i], t = sigmas[i + 1];
    const Sum picture = denoised(s);
    Sum x = kX;
    if (i > 0) {  // the corrector: the step before once more, now that its end is known
      const double h = of(i) - of(i - 1);
      const double e = std::expm1(-h);
      const double b1 = (e / -h - 1) / e, b2 = ((e / -h - 1) / -h - 0.5) * 2 / e;
      Sum change = 0.5 * (picture - before);
      if (second_order) {
        const double r = (of(i - 2) - of(i - 1)) / h;
        const double rho = (b1 - b2) / (1 - r);
        change = rho / r * (older - before) + (b1 - rho) * (picture - before);
      }
      x = s / sigmas[i - 1] * corrected_before - (1 - s) * e * (before + change);
    }
    second_order = i > 0 && i + 1 < steps;
    const double h = lambda(t) - of(i);
    const double e = std::expm1(-h);
    Sum predicted = picture;
    if (second_order) predicted += 0.5 * h / (of(i - 1) - of(i)) * (before - picture);
    all.push_back({static_cast<int64_t>(i), sigmas[i], t / s * x - (1 - t) * e * predicted, {picture, before, x}});
  }
  return all;
}

Evaluations deis(Sigmas sigmas) {
  const auto rho = [](double sigma) { return sigma / (1 - sigma); };
  Evaluations all;
  for (size_t i = 0; i + 1 < sigmas.size(); ++i) {
    const double s = sigmas[i], t = sigmas[i + 1];
    const Sum noise = kX + (1 - s) * kV;  // that the model finds in the latents
    Sum x = kX + (t - s) * kV;
    if (i > 0 && t > 0 && sigmas[i - 1] < 1) {
      const double before = rho(sigmas[i - 1]);
      // The integral of (log r − log c) / (log b − log c) from here to there.
      const auto integral = [&](double b, double c) {
        const auto at = [&](double r) { return r * (std::log(r) - std::log(c) - 1) / (std::log(b) - std::log(c)); };
        return at(rho(t)) - at(rho(s));
      };
      x = (1 - t) * (1 / (1 - s) * kX + integral(rho(s), before) * noise + integral(before, rho(s)) * slot(0));
    }
    all.push_back({static_cast<int64_t>(i), sigmas[i], x, {noise}});
  }
  return all;
}

}  // namespace fude
