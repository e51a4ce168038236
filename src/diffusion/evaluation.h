// What a sampler asks of the model, one evaluation after the other, and what it makes of each answer: sums of what is at hand.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/device.h"

namespace fude {

// Of a schedule, or of its last part: from noise down to 0, which is no evaluation of its own.
using Sigmas = std::span<const float>;

// A linear combination of the latents, what is kept in slots, the model's velocity and fresh noise.
class Sum {
 public:
  static constexpr size_t kSlots = static_cast<size_t>(kMostTerms) - 3;

  constexpr Sum() = default;
  static constexpr Sum of(size_t term) {
    Sum sum;
    sum.factors_[term] = 1;
    return sum;
  }

  bool operator==(const Sum&) const = default;
  constexpr double operator[](size_t term) const { return factors_[term]; }
  constexpr Sum& operator+=(const Sum& other) {
    for (size_t i = 0; i < factors_.size(); ++i) factors_[i] += other.factors_[i];
    return *this;
  }
  friend constexpr Sum operator+(Sum a, const Sum& b) { return a += b; }
  friend constexpr Sum operator-(const Sum& a, const Sum& b) { return a + -1.0 * b; }
  friend constexpr Sum operator*(double factor, Sum sum) {
    for (double& each : sum.factors_) each *= factor;
    return sum;
  }

 private:
  std::array<double, kMostTerms> factors_{};  // of x, of each slot, of v, of noise
};

inline constexpr size_t kVelocityTerm = Sum::kSlots + 1, kNoiseTerm = kVelocityTerm + 1;
inline constexpr Sum kX = Sum::of(0), kV = Sum::of(kVelocityTerm), kNoise = Sum::of(kNoiseTerm);
constexpr Sum slot(size_t i) { return Sum::of(1 + i); }

// The picture without noise that the velocity points to.
constexpr Sum denoised(double sigma) { return kX - sigma * kV; }

struct Evaluation {
  int64_t step;                 // that it is a part of, from 0
  float sigma;                  // at which the model is asked
  Sum x;                        // the latents afterwards
  std::vector<Sum> slots = {};  // what each slot holds afterwards

  bool draws_noise() const { return x[kNoiseTerm] != 0; }
};

// As CombineCall has them: f32 [1 + slots, 1 + slots + 1, or + 2 with noise].
std::vector<float> coefficients_of(const Evaluation& evaluation, bool noise);

}  // namespace fude
