// Feature maps of one picture, and the passes over them in strips of rows.
//
// A pass reads one map and writes another, strip by strip. The result is exact: a convolution reads a halo of one row at either
// side, and GroupNorm's statistics are those of the whole picture. So there are no seams, and the number of strips changes only
// how much memory a pass takes. Maps larger than the latents may be offloaded to host memory; then only strips of them are ever
// on the device.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "core/ops.h"
#include "offload/decode_plan.h"

namespace fude {

// NHWC, in one of two ping-pong buffers.
struct FeatureMap {
  Tensor whole;  // [1, height, width, channels]
  Tensor sums;   // of a map on the host: GroupNorm's sums, taken while its strips were on the device
  int buffer = 0;

  bool on_host() const { return bool(sums); }
};

struct MapShape {
  int buffer;
  int64_t height, width, channels;
};

// What a convolution reads: a map, or silu(norm(map)), or a map with every pixel doubled in both directions.
struct ConvInput {
  FeatureMap x;
  const Norm* norm = nullptr;
  bool upsample = false;
};

// Pixels from this row on, f32 [1, rows, width, 3], valid during the call.
using DrawRows = std::function<void(int64_t row, const Tensor& pixels)>;

class FeatureMaps {
 public:
  // `shapes`: of all maps, from the latents' size to the picture's.
  FeatureMaps(Ops& op, const DecodePlan& plan, const std::vector<MapShape>& shapes, int64_t groups, float eps);

  // A new map, in the other buffer.
  FeatureMap conv(const ConvInput& input, const Conv& w);
  // x + conv(input), in place; or with a shortcut, shortcut(x) + conv(input), a new map that overwrites the input's.
  FeatureMap add_conv(const FeatureMap& x, const std::optional<Conv>& shortcut, const ConvInput& input, const Conv& w);
  // The last convolution.
  void draw(const ConvInput& input, const Conv& w, const DrawRows& draw_rows);

  Tensor on_device(const FeatureMap& x);  // all of it, however much memory that takes

 private:
  // The rows of a map that a convolution reads, halo included, and the rows of its result that are wanted.
  struct Read {
    Tensor x;
    RowRange wanted;
  };

  bool host_offloaded(const MapShape& shape) const { return through_host_ && shape.height > smallest_; }
  int64_t strips_of(int64_t height) const { return (height + rows_at_once_ - 1) / rows_at_once_; }
  int64_t pieces_of_row(const MapShape& shape) const;  // of GroupNorm's sums
  int64_t shift(const MapShape& shape) const;
  FeatureMap map(const MapShape& shape, int64_t offset) const;
  template <class Strip>
  void for_each_strip(int64_t height, const Strip& strip);
  Tensor factors(const ConvInput& input);
  Tensor fetch(const FeatureMap& x, RowRange rows);
  Read read(const ConvInput& input, const Tensor& factors, RowRange rows, int64_t kernel);
  template <class Begin>
  void convolve(const FeatureMap& out, const ConvInput& input, const Conv& w, bool accumulate, const Begin& begin);

  Ops& op_;
  const int64_t groups_;
  const float eps_;
  const bool through_host_;
  const int64_t smallest_;      // rows of maps of the latents' size
  const int64_t rows_at_once_;  // of a strip
  std::optional<Scope> host_scope_;
  std::array<Tensor, 2> device_, host_;  // device: maps, or the sums of maps on the host; host: maps
};

}  // namespace fude
