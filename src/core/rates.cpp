// Interpolating in tables of rates, and seconds of single operations.
#include "core/rates.h"

#include <algorithm>
#include <cmath>

namespace fude {

namespace {

// Where a size lies among ascending ones: between points `below` and below + 1, `part` of the way from the first.
struct Place {
  size_t below = 0;
  double part = 0;
};

Place place_of(double size, const std::vector<double>& points) {
  if (size <= points.front()) return {};
  if (size >= points.back()) return {points.size() - 1, 0};
  const auto above = static_cast<size_t>(std::upper_bound(points.begin(), points.end(), size) - points.begin());
  return {above - 1, std::log(size / points[above - 1]) / std::log(points[above] / points[above - 1])};
}

double flops_of(const Tensor& out, const Weight& weight) {
  return 2.0 * static_cast<double>(out.numel()) * static_cast<double>(weight.shape.row());
}

double mean_width(const WeightShape& shape) {
  return std::sqrt(static_cast<double>(shape.in) * static_cast<double>(shape.out));
}

int64_t bytes_of(const Tensor& out, const Tensor& x, const Weight& weight) {
  return out.bytes() + x.bytes() + bytes_of(weight.format, weight.shape.out, weight.shape.row());
}

double transfer_seconds(const Rates& rates, int64_t bytes) {
  const auto n = static_cast<double>(bytes);
  return n / rates.passes.at(n, 1);
}

}  // namespace

double median_of(const std::vector<double>& ratios) {
  if (ratios.empty()) return 1;
  std::vector<double> sorted = ratios;
  std::sort(sorted.begin(), sorted.end());
  const size_t half = sorted.size() / 2;
  return sorted.size() % 2 ? sorted[half] : std::sqrt(sorted[half - 1] * sorted[half]);
}

double RateTable::at(double at_x, double at_y) const {
  const Place column = place_of(at_x, x);
  const Place row = place_of(at_y, y);
  const auto point = [&](size_t i, size_t j) {
    return std::log(rates[std::min(j, y.size() - 1) * x.size() + std::min(i, x.size() - 1)]);
  };
  const auto along_x = [&](size_t j) { return std::lerp(point(column.below, j), point(column.below + 1, j), column.part); };
  return std::exp(std::lerp(along_x(row.below), along_x(row.below + 1), row.part));
}

double gemm_seconds(const Rates& rates, const Tensor& out, const Tensor& x, const Weight& weight, int64_t rows_at_once) {
  const double rate = rates.gemm.at(static_cast<double>(rows_at_once), mean_width(weight.shape));
  return std::max(flops_of(out, weight) / rate, transfer_seconds(rates, bytes_of(out, x, weight)));
}

double attention_seconds(const Rates& rates, const Tensor& q, const Tensor& k, int64_t heads) {
  const auto keys = static_cast<double>(k.dim(1));
  return rates.launch +
         4.0 * static_cast<double>(q.numel()) * keys / rates.attention.at(keys, static_cast<double>(q.dim(2) / heads));
}

double convolution_seconds(const Rates& rates, const Tensor& out, const Tensor& x, const Weight& weight) {
  const auto pixels = static_cast<double>(out.numel() / out.dim(-1));
  const double rate = weight.shape.kernel == 1 ? rates.gemm.at(pixels, mean_width(weight.shape))
                                               : rates.convolutions.at(pixels, mean_width(weight.shape));
  return rates.launch + std::max(flops_of(out, weight) / rate, transfer_seconds(rates, bytes_of(out, x, weight)));
}

double pass_seconds(const Rates& rates, int64_t bytes) { return rates.launch + transfer_seconds(rates, bytes); }

}  // namespace fude
