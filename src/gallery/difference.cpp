// Mean absolute difference, PSNR and SSIM of two pictures.
//
// Z. Wang, A. Bovik, H. Sheikh, E. Simoncelli: Image quality assessment, from error visibility to structural similarity, 2004.
// The same numbers as scikit-image's structural_similarity(…, gaussian_weights=True, sigma=1.5, use_sample_covariance=False).
#include "gallery/difference.h"

#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <vector>

#include "engine/size_text.h"
#include "fude/error.h"

namespace fude {
namespace {

constexpr int64_t kWindow = 11;
constexpr double kSigma = 1.5;
constexpr double kC1 = (0.01 * 255) * (0.01 * 255), kC2 = (0.03 * 255) * (0.03 * 255);

std::array<double, kWindow> gaussian() {
  std::array<double, kWindow> weights{};
  double sum = 0;
  for (int64_t i = 0; i < kWindow; ++i) {
    const auto x = static_cast<double>(i - kWindow / 2);
    sum += weights[static_cast<size_t>(i)] = std::exp(-x * x / (2 * kSigma * kSigma));
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

std::vector<double> luma_of_row(const Image& image, int64_t y) {
  std::vector<double> luma(static_cast<size_t>(image.width));
  const uint8_t* pixel = image.rgb.data() + y * image.width * 3;
  for (double& value : luma) {
    value = 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
    pixel += 3;
  }
  return luma;
}

// Weighted means of a, b, a², b² and ab at one pixel.
struct Moments {
  double a = 0, b = 0, aa = 0, bb = 0, ab = 0;
  void add(double weight, const Moments& other) {
    a += weight * other.a;
    b += weight * other.b;
    aa += weight * other.aa;
    bb += weight * other.bb;
    ab += weight * other.ab;
  }
};

double similarity_at(const Moments& m) {
  const double aa = m.aa - m.a * m.a, bb = m.bb - m.b * m.b, ab = m.ab - m.a * m.b;
  return (2 * m.a * m.b + kC1) * (2 * ab + kC2) / ((m.a * m.a + m.b * m.b + kC1) * (aa + bb + kC2));
}

// The window is separable: rows are weighted once, and the last eleven of them are kept.
double similarity(const Image& a, const Image& b) {
  const std::array<double, kWindow> weights = gaussian();
  const int64_t width = a.width - kWindow + 1, height = a.height - kWindow + 1;
  std::array<std::vector<Moments>, kWindow> rows;
  double sum = 0;
  for (int64_t y = 0; y < a.height; ++y) {
    const std::vector<double> la = luma_of_row(a, y);
    const std::vector<double> lb = luma_of_row(b, y);
    std::vector<Moments> at(la.size());
    for (size_t x = 0; x < la.size(); ++x) at[x] = {la[x], lb[x], la[x] * la[x], lb[x] * lb[x], la[x] * lb[x]};
    std::vector<Moments>& row = rows[static_cast<size_t>(y % kWindow)];
    row.assign(static_cast<size_t>(width), {});
    for (size_t x = 0; x < row.size(); ++x)
      for (size_t i = 0; i < weights.size(); ++i) row[x].add(weights[i], at[x + i]);
    if (y < kWindow - 1) continue;
    for (size_t x = 0; x < row.size(); ++x) {
      Moments moments;
      for (int64_t i = 0; i < kWindow; ++i)
        moments.add(weights[static_cast<size_t>(i)], rows[static_cast<size_t>((y + 1 + i) % kWindow)][x]);
      sum += similarity_at(moments);
    }
  }
  return sum / static_cast<double>(width * height);
}

}  // namespace

Difference difference_between(const Image& a, const Image& b) {
  if (a.width != b.width || a.height != b.height || a.width < kWindow || a.height < kWindow) {
    const auto size = [](const Image& image) { return text_of_size(image.width, image.height); };
    throw Error(Code::bad_request, "pictures of " + size(a) + " and " + size(b) +
                                       " pixels cannot be compared. Compare pictures of one size, at least 11x11.");
  }
  double absolute = 0, squared = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) {
    const int apart = std::abs(int{a.rgb[i]} - int{b.rgb[i]});
    absolute += apart;
    squared += apart * apart;
  }
  const auto bytes = static_cast<double>(a.rgb.size());
  Difference difference;
  difference.change = absolute / bytes / 255;
  difference.psnr = squared == 0 ? std::numeric_limits<double>::infinity() : 10 * std::log10(255.0 * 255.0 / (squared / bytes));
  difference.ssim = similarity(a, b);
  return difference;
}

}  // namespace fude
