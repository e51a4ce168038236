// Feature maps of one picture, and the passes over them in strips of rows.
//
// A pass reads one map and writes another, strip by strip. Each strip is computed from all that it depends on: a convolution
// reads a row more at either side, and GroupNorm's statistics are those of the whole picture. So there are no seams, and how
// many strips there are changes only how much memory a pass takes. Maps that are larger than the latents may wait in the host's
// memory; then strips of them are all that is ever on the device.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "core/backend.h"

namespace fude {

struct DecodePlan {
  int64_t strips = 1;         // of maps of the picture's own size; smaller maps have fewer
  bool through_host = false;  // maps larger than the latents wait in Backend::host_arena
};

// NHWC, in one of two places that take turns.
struct FeatureMap {
  Tensor whole;  // [1, height, width, channels]
  Tensor sums;   // of a map on the host: GroupNorm's, added up when its strips were on the device
  int place = 0;

  bool on_host() const { return bool(sums); }
};

struct MapShape {
  int place;
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
  // `shapes`: of all maps there will be, from the latents' size to the picture's.
  FeatureMaps(Backend& op, const DecodePlan& plan, const std::vector<MapShape>& shapes, int64_t groups, float eps);

  // A new map, in the other place.
  FeatureMap conv(const ConvInput& input, const Conv& w);
  // x + conv(input): in x, or with a shortcut, shortcut(x) + conv(input): a new map where the input's was.
  FeatureMap add_conv(const FeatureMap& x, const std::optional<Conv>& shortcut, const ConvInput& input, const Conv& w);
  // The last convolution.
  void draw(const ConvInput& input, const Conv& w, const DrawRows& draw_rows);

  Tensor on_device(const FeatureMap& x);  // all of it, whatever that takes

 private:
  // Rows of a map as a convolution reads them, and which of its result's are wanted.
  struct Read {
    Tensor x;
    RowRange wanted;
  };

  bool waits_on_host(const MapShape& shape) const { return through_host_ && shape.height > smallest_; }
  int64_t strips_of(int64_t height) const { return (height + rows_at_once_ - 1) / rows_at_once_; }
  int64_t pieces_of(const MapShape& shape) const;  // that the sums of a strip are made of
  int64_t shift(const MapShape& shape) const;
  FeatureMap map(const MapShape& shape, int64_t offset) const;
  template <class Strip>
  void for_each_strip(int64_t height, const Strip& strip);
  Tensor factors(const ConvInput& input);
  Tensor fetch(const FeatureMap& x, RowRange rows);
  Read read(const ConvInput& input, const Tensor& factors, RowRange rows, int64_t kernel);
  template <class Begin>
  void convolve(const FeatureMap& out, const ConvInput& input, const Conv& w, bool accumulate, const Begin& begin);

  Backend& op_;
  const int64_t groups_;
  const float eps_;
  const bool through_host_;
  const int64_t smallest_;      // rows of maps of the latents' size
  const int64_t rows_at_once_;  // of a strip
  std::optional<Scope> host_scope_;
  std::array<Tensor, 2> device_, host_;  // the places: maps on the device or sums of maps on the host; maps on the host
};

}  // namespace fude
