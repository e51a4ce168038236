// The random numbers a picture is made of: the same bits torch.randn gives for a seed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "fude/request.h"

namespace fude {

// MT19937 seeded with the low half of the seed, as at::mt19937.
class MersenneTwister {
 public:
  explicit MersenneTwister(uint64_t seed);

  uint32_t next() {
    if (position_ == kSize) twist();
    uint32_t y = state_[position_++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
  }

 private:
  static constexpr size_t kSize = 624, kMiddle = 397;

  void twist();

  std::array<uint32_t, kSize> state_{};
  size_t position_ = kSize;
};

// A torch.Generator as a pipeline uses it: the first draw, the latents a picture begins as, is of the kind's own type; every
// draw after it, noise between steps, is f32.
class TorchGenerator {
 public:
  TorchGenerator(Noise kind, uint64_t seed) : kind_(kind), seed_(seed), twister_(seed) {}

  Noise kind() const { return kind_; }
  uint64_t seed() const { return seed_; }

  // The next n values, as f32 (the narrow types' values are exact in f32). n ≥ 16.
  // torch_cpu kinds: bit for bit on x86-64; torch_cpu_f16 and _bf16 those of PyTorch ≥ 2.13, torch_2_11_… those of 2.1 to 2.11
  // (2.12 has bits of its own, which nothing here draws). torch_cuda: within 2e-6 of a card whose launch covers n elements in
  // one pass; `device_threads` is that card's cap (multiprocessors × resident blocks × 256; 132·8·256 on an H100).
  // Source: ATen/native/cpu/DistributionTemplates.h, ATen/native/cuda/DistributionTemplates.h.
  std::vector<float> randn(int64_t n, int64_t device_threads = 270336);

  // The next n values of a torch_cpu kind, whatever was drawn before.
  std::vector<float> draw(Noise kind, int64_t n);

  // Of torch_cuda, for a card that draws by itself: the Philox counter at which its next n values begin. They count as drawn.
  uint64_t take_counters(int64_t n, int64_t device_threads);

 private:
  Noise kind_;
  uint64_t seed_;
  MersenneTwister twister_;
  uint64_t counter_ = 0;
  bool is_fresh_ = true;
};

}  // namespace fude
