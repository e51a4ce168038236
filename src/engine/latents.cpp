// Slerp, bilinear enlarging and noising, on the host.
#include "engine/latents.h"

#include <algorithm>
#include <cmath>

#include "core/fnv.h"
#include "fude/error.h"
#include "weights/quote.h"

namespace fude {

namespace {

// Where a new position lies between two old ones.
struct Between {
  int64_t low, high;
  float part;  // of high
};

std::vector<Between> positions(int64_t from, int64_t to) {
  std::vector<Between> all;
  for (int64_t i = 0; i < to; ++i) {
    const double at = std::max(0.0, (static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5);
    const int64_t low = std::min(static_cast<int64_t>(at), from - 1);
    all.push_back({low, std::min(low + 1, from - 1), static_cast<float>(at - static_cast<double>(low))});
  }
  return all;
}

}  // namespace

std::vector<float> slerp(const std::vector<float>& a, const std::vector<float>& b, double amount) {
  if (amount <= 0) return a;  // to the bit
  if (amount >= 1) return b;
  double aa = 0, bb = 0, ab = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    aa += double{a[i]} * a[i];
    bb += double{b[i]} * b[i];
    ab += double{a[i]} * b[i];
  }
  const double cosine = std::clamp(ab / std::sqrt(aa * bb), -1.0, 1.0);
  const double angle = std::acos(cosine);
  const double sine = std::sin(angle);
  const bool same_way = sine < 1e-6;
  const double of_a = same_way ? 1 - amount : std::sin((1 - amount) * angle) / sine;
  const double of_b = same_way ? amount : std::sin(amount * angle) / sine;
  std::vector<float> out(a.size());
  for (size_t i = 0; i < a.size(); ++i) out[i] = static_cast<float>(of_a * a[i] + of_b * b[i]);
  return out;
}

std::vector<float> resized(const std::vector<float>& latents, int64_t channels, Size from, Size to) {
  const std::vector<Between> rows = positions(from.height, to.height);
  const std::vector<Between> columns = positions(from.width, to.width);
  std::vector<float> out;
  out.reserve(static_cast<size_t>(channels * to.height * to.width));
  for (int64_t c = 0; c < channels; ++c) {
    const float* plane = latents.data() + c * from.height * from.width;
    for (const Between& y : rows) {
      const float *low = plane + y.low * from.width, *high = plane + y.high * from.width;
      for (const Between& x : columns) {
        const float top = low[x.low] + x.part * (low[x.high] - low[x.low]);
        const float bottom = high[x.low] + x.part * (high[x.high] - high[x.low]);
        out.push_back(top + y.part * (bottom - top));
      }
    }
  }
  return out;
}

std::vector<float> noised(const std::vector<float>& latents, const std::vector<float>& noise, float sigma) {
  std::vector<float> out(latents.size());
  for (size_t i = 0; i < latents.size(); ++i) out[i] = sigma * noise[i] + (1.0f - sigma) * latents[i];
  return out;
}

std::string hash_of(const std::vector<float>& latents) {
  Fnv hash;
  hash.add(latents.data(), latents.size() * sizeof(float));
  return hexadecimal(hash.value());
}

void check_latents(const Request& complete, int64_t channels) {
  if (!complete.latents) return;
  const auto refuse = [](const std::string& what) {
    throw Error(Code::bad_request,
                {.what = "latents " + what, .field = Field::latents, .remedies = {{Remedy::leave_out, Field::latents}}});
  };
  const std::vector<float>& values = *complete.latents;
  const int64_t wanted = complete.count * channels * (complete.height / 8) * (complete.width / 8);
  if (std::ssize(values) != wanted)
    refuse("hold " + std::to_string(values.size()) + " values, and " + std::to_string(complete.count) + " times " +
           std::to_string(channels) + " channels of " + std::to_string(complete.height / 8) + " rows of " +
           std::to_string(complete.width / 8) + " are " + std::to_string(wanted));
  if (complete.variation || complete.draft) refuse("go with neither a variation nor a draft");
  if (!std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); }))
    refuse("hold values that are not numbers");
}

int64_t first_step(int64_t steps, double strength) {
  const auto n = static_cast<double>(steps);
  return std::min(static_cast<int64_t>(std::max(n - std::min(n * strength, n), 0.0)), steps - 1);  // never none
}

}  // namespace fude
