// torch's generators and normal distributions: Mersenne Twister on the CPU, Philox on cards.
#include "core/noise.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <utility>

#include "core/dtype.h"
#include "core/fused.h"
#include "core/thread_team.h"

namespace fude {

namespace {

constexpr std::array<std::pair<Noise, std::string_view>, 6> kNames = {{{Noise::torch_cpu, "torch-cpu"},
                                                                       {Noise::torch_cpu_f16, "torch-cpu-f16"},
                                                                       {Noise::torch_cpu_bf16, "torch-cpu-bf16"},
                                                                       {Noise::torch_2_11_cpu_f16, "torch-2.11-cpu-f16"},
                                                                       {Noise::torch_2_11_cpu_bf16, "torch-2.11-cpu-bf16"},
                                                                       {Noise::torch_cuda, "torch-cuda"}}};

// The vector log and sincos of torch's AVX2 kernel (Cephes polynomials), one lane, with its fused multiply-adds.
float avx2_log(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  float e = static_cast<float>(static_cast<int>(bits >> 23) - 126);
  const float m = std::bit_cast<float>((bits & 0x007fffffu) | 0x3f000000u);
  float f = m - 1.0f;
  if (m < 0.70710677f) {
    e -= 1.0f;
    f += m;
  }
  const float z = f * f;
  float y = 7.0376836292e-2f;
  for (float c : {-1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f, -1.6668057665e-1f, 2.0000714765e-1f,
                  -2.4999993993e-1f, 3.3333331174e-1f})
    y = fused(y, f, c);
  y *= f;
  y = fused(y, z, e * -2.12194440e-4f);
  y -= 0.5f * z;
  return fused(e, 0.693359375f, f + y);
}

void avx2_sincos(float x, float& sine, float& cosine) {
  int j = static_cast<int>(x * 1.27323954473516f);
  j = (j + 1) & ~1;
  const float a = static_cast<float>(j);
  x = fused(a, -0.78515625f, x);
  x = fused(a, -2.4187564849853515625e-4f, x);
  x = fused(a, -3.77489497744594108e-8f, x);
  const float z = x * x;
  float c = 2.443315711809948e-5f;
  c = fused(c, z, -1.388731625493765e-3f);
  c = fused(c, z, 4.166664568298827e-2f);
  c *= z;
  c = fused(c, z, -0.5f * z) + 1.0f;
  float s = -1.9515295891e-4f;
  s = fused(s, z, 8.3321608736e-3f);
  s = fused(s, z, -1.6666654611e-1f);
  s *= z;
  s = fused(s, x, x);
  sine = (j & 2) == 0 ? s : c;
  cosine = (j & 2) == 0 ? c : s;
  if (j & 4) sine = -sine;
  if (((j - 2) & 4) == 0) cosine = -cosine;
}

// 16 uniforms in, 16 normals out; value j pairs with value j + 8.
void box_muller_f32(float* d) {
  for (int j = 0; j < 8; ++j) {
    const float radius = std::sqrt(-2.0f * avx2_log(1.0f - d[j]));
    float sine, cosine;
    avx2_sincos(6.2831855f * d[j + 8], sine, cosine);
    d[j] = radius * cosine + 0.0f;
    d[j + 8] = radius * sine + 0.0f;
  }
}

// torch up to 2.11 computes the narrow types in their own precision: every intermediate is rounded.
template <class Round>
void box_muller_narrow(float* d, Round rn) {
  for (int j = 0; j < 8; ++j) {
    const float u = rn(1.0f - d[j]);
    const float radius = rn(std::sqrt(rn(-2.0f * rn(std::log(u)))));
    const float theta = rn(static_cast<float>(2.0 * 3.14159265358979323846 * static_cast<double>(d[j + 8])));
    d[j] = rn(radius * rn(std::cos(theta))) + 0.0f;  // as torch adds the mean: −0 becomes +0
    d[j + 8] = rn(radius * rn(std::sin(theta))) + 0.0f;
  }
}

// Calls transform with every group of 16; sixteen pictures of a gacha wait for their noise.
template <class Transform>
void transform_groups(std::vector<float>& values, const Transform& transform) {
  constexpr size_t kGroups = 512;  // a piece of work
  const size_t groups = values.size() / 16;
  on_all_cores(static_cast<int64_t>((groups + kGroups - 1) / kGroups), [&](int64_t piece) {
    const size_t first = static_cast<size_t>(piece) * kGroups;
    for (size_t group = first; group < std::min(first + kGroups, groups); ++group) transform(&values[group * 16]);
  });
}

// torch.randn on the CPU: `uniform` makes a number in [0, 1) of each draw, `transform` 16 normal ones of 16 of those.
template <class Uniform, class Transform>
std::vector<float> cpu_randn(MersenneTwister& random, int64_t n, const Uniform& uniform, const Transform& transform) {
  assert(n >= 16);
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) v = uniform(random.next());
  transform_groups(values, transform);
  if (values.size() % 16 != 0) {  // the last 16 are drawn afresh
    float* tail = values.data() + values.size() - 16;
    for (int j = 0; j < 16; ++j) tail[j] = uniform(random.next());
    transform(tail);
  }
  return values;
}

float rounded_to_f16(float v) { return from_f16(to_f16(v)); }
float rounded_to_bf16(float v) { return from_bf16(to_bf16(v)); }

std::vector<float> f32_randn(MersenneTwister& random, int64_t n) {
  return cpu_randn(
      random, n, [](uint32_t draw) { return static_cast<float>(draw & 0xffffff) * 0x1p-24f; }, box_muller_f32);
}

// Since 2.13 the narrow types are f32 values, each rounded once; but the last 16 are those of the next whole group.
template <class Round>
std::vector<float> rounded_randn(MersenneTwister& random, int64_t n, Round rn) {
  std::vector<float> values = f32_randn(random, (n + 15) / 16 * 16);
  if (n % 16 != 0) std::copy(values.end() - 16, values.end(), values.begin() + (n - 16));
  values.resize(static_cast<size_t>(n));
  for (float& v : values) v = rn(v);
  return values;
}

// `bits` of each draw are used: as many as the type's precision holds.
template <class Round>
std::vector<float> narrow_randn(MersenneTwister& random, int64_t n, int bits, Round rn) {
  const uint32_t states = 1u << bits;
  return cpu_randn(
      random, n, [states](uint32_t draw) { return static_cast<float>(draw & (states - 1)) / static_cast<float>(states); },
      [rn](float* group) { box_muller_narrow(group, rn); });
}

std::array<uint32_t, 4> philox(uint64_t seed, std::array<uint32_t, 4> counter) {
  auto key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * counter[0], b = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key0, static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key1, static_cast<uint32_t>(a)};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

void curand_normal2(uint32_t x, uint32_t y, float& first, float& second) {
  constexpr float kTo01 = 2.3283064e-10f;
  constexpr float kToAngle = 2.3283064e-10f * 6.2831855f;
  const float u = fused(static_cast<float>(x), kTo01, kTo01 / 2);
  const float v = fused(static_cast<float>(y), kToAngle, kToAngle / 2);
  const float s = std::sqrt(-2.0f * std::log(u));
  first = s * std::sin(v);
  second = s * std::cos(v);
}

// Of so many values, by a card that runs at most `device_threads`.
int64_t cuda_threads(int64_t n, int64_t device_threads) { return std::min((n + 255) / 256 * 256, device_threads); }

std::vector<float> cuda_randn(uint64_t seed, uint64_t first_counter, int64_t n, int64_t threads) {
  std::vector<float> values(static_cast<size_t>(n));
  for (int64_t k = 0; k * 4 * threads < n; ++k)
    for (int64_t thread = 0; thread < threads; ++thread) {
      const uint64_t counter = first_counter + static_cast<uint64_t>(k);
      const auto bits = philox(seed, {static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32),
                                      static_cast<uint32_t>(thread), static_cast<uint32_t>(thread >> 32)});
      std::array<float, 4> normal;
      curand_normal2(bits[0], bits[1], normal[0], normal[1]);
      curand_normal2(bits[2], bits[3], normal[2], normal[3]);
      for (int64_t j = 0; j < 4; ++j) {
        const int64_t i = thread + (4 * k + j) * threads;
        if (i < n) values[static_cast<size_t>(i)] = normal[static_cast<size_t>(j)];
      }
    }
  return values;
}

}  // namespace

const std::vector<Noise>& all_noise() {
  static const std::vector<Noise> all = [] {
    std::vector<Noise> kinds;
    for (const auto& [kind, name] : kNames) kinds.push_back(kind);
    return kinds;
  }();
  return all;
}

std::string_view name_of(Noise noise) {
  const auto row = std::find_if(kNames.begin(), kNames.end(), [&](const auto& entry) { return entry.first == noise; });
  return row == kNames.end() ? "?" : row->second;
}

std::optional<Noise> noise_from(std::string_view name) {
  const auto row = std::find_if(kNames.begin(), kNames.end(), [&](const auto& entry) { return entry.second == name; });
  return row == kNames.end() ? std::nullopt : std::optional(row->first);
}

MersenneTwister::MersenneTwister(uint64_t seed) {
  state_[0] = static_cast<uint32_t>(seed);
  for (uint32_t j = 1; j < kSize; ++j) state_[j] = 1812433253u * (state_[j - 1] ^ (state_[j - 1] >> 30)) + j;
}

void MersenneTwister::twist() {
  for (size_t i = 0; i < kSize; ++i) {
    const uint32_t y = (state_[i] & 0x80000000u) | (state_[(i + 1) % kSize] & 0x7fffffffu);
    state_[i] = state_[(i + kMiddle) % kSize] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
  }
  position_ = 0;
}

std::vector<float> TorchGenerator::randn(int64_t n, int64_t device_threads) {
  if (kind_ == Noise::torch_cuda) {
    const uint64_t first = take_counters(n, device_threads);
    return cuda_randn(seed_, first, n, cuda_threads(n, device_threads));
  }
  return draw(std::exchange(is_fresh_, false) ? kind_ : Noise::torch_cpu, n);
}

std::vector<float> TorchGenerator::draw(Noise kind, int64_t n) {
  switch (kind) {
    case Noise::torch_cpu_f16: return rounded_randn(twister_, n, rounded_to_f16);
    case Noise::torch_cpu_bf16: return rounded_randn(twister_, n, rounded_to_bf16);
    case Noise::torch_2_11_cpu_f16: return narrow_randn(twister_, n, 11, rounded_to_f16);
    case Noise::torch_2_11_cpu_bf16: return narrow_randn(twister_, n, 8, rounded_to_bf16);
    default: return f32_randn(twister_, n);
  }
}

uint64_t TorchGenerator::take_counters(int64_t n, int64_t device_threads) {
  const int64_t each = 4 * cuda_threads(n, device_threads);  // values of one counter of all threads
  return std::exchange(counter_, counter_ + static_cast<uint64_t>((n - 1) / each + 1));
}

}  // namespace fude
