// Downscaling by area averages.
#include "gallery/scale.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace fude {
namespace {

// Pixels [first, first + weights) of the picture and how much of the new pixel each of them is.
struct Cover {
  int64_t first = 0;
  std::vector<float> weights;
};

std::vector<Cover> covers(int64_t from, int64_t to) {
  std::vector<Cover> all(static_cast<size_t>(to));
  const double ratio = static_cast<double>(from) / static_cast<double>(to);
  for (int64_t i = 0; i < to; ++i) {
    Cover& cover = all[static_cast<size_t>(i)];
    const double begin = static_cast<double>(i) * ratio, end = begin + ratio;
    cover.first = static_cast<int64_t>(begin);
    for (int64_t k = cover.first; k < from; ++k) {
      const double part = std::min(end, static_cast<double>(k + 1)) - std::max(begin, static_cast<double>(k));
      if (part <= 0) break;
      cover.weights.push_back(static_cast<float>(part / ratio));
    }
  }
  return all;
}

}  // namespace

Size fitted(Size picture, Size most) {
  const double shrink = std::min({1.0, static_cast<double>(most.width) / static_cast<double>(picture.width),
                                  static_cast<double>(most.height) / static_cast<double>(picture.height)});
  const auto side = [&](int64_t pixels) {
    return std::max<int64_t>(1, static_cast<int64_t>(std::lround(static_cast<double>(pixels) * shrink)));
  };
  return {side(picture.width), side(picture.height)};
}

Image scaled(const Image& picture, Size to) {
  assert(to.width > 0 && to.height > 0 && to.width <= picture.width && to.height <= picture.height);
  const std::vector<Cover> columns = covers(picture.width, to.width);
  const std::vector<Cover> rows = covers(picture.height, to.height);
  const auto width = static_cast<size_t>(picture.width) * 3;
  Image small;
  small.width = to.width;
  small.height = to.height;
  small.rgb.reserve(static_cast<size_t>(to.width * to.height * 3));
  std::vector<float> row(width);  // the rows that a new row covers, averaged
  for (const Cover& cover : rows) {
    std::fill(row.begin(), row.end(), 0.0f);
    for (size_t k = 0; k < cover.weights.size(); ++k) {
      const uint8_t* from = picture.rgb.data() + (static_cast<size_t>(cover.first) + k) * width;
      for (size_t i = 0; i < width; ++i) row[i] += cover.weights[k] * from[i];
    }
    for (const Cover& column : columns) {
      for (size_t channel = 0; channel < 3; ++channel) {
        float sum = 0;
        const float* from = row.data() + column.first * 3 + channel;
        for (size_t k = 0; k < column.weights.size(); ++k) sum += column.weights[k] * from[k * 3];
        small.rgb.push_back(static_cast<uint8_t>(std::clamp(sum + 0.5f, 0.0f, 255.0f)));
      }
    }
  }
  return small;
}

}  // namespace fude
