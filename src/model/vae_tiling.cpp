// Cutting latents into tiles, and blending the decoded tiles row by row.
#include "model/vae_tiling.h"

#include <algorithm>
#include <cassert>

namespace fude {

namespace {

constexpr int64_t kChannels = 3;

int64_t overlap_of(int64_t side) { return side / 4; }
int64_t stride_of(int64_t side) { return side - overlap_of(side); }

// Pixels of a tile in the picture. All but the last of a row or a column are larger than three overlaps.
struct Tile {
  int64_t column, x;  // its number in its row, and its first pixel
  int64_t height, width;
  bool has_above, has_below, has_left, has_right;
};

// Linear blend of n values, at `step` of `steps` between `before` and `values`.
void blend(float* values, const float* before, int64_t n, int64_t step, int64_t steps) {
  const double part = static_cast<double>(step) / static_cast<double>(steps);
  const auto old = static_cast<float>(1 - part), fresh = static_cast<float>(part);
  for (int64_t i = 0; i < n; ++i) values[i] = before[i] * old + values[i] * fresh;
}

void copy_pixels(float* to, const float* from, int64_t n) { std::copy_n(from, kChannels * n, to); }

// One row of tiles in host memory, already blended with its neighbours, and the edges that the next row blends with.
class Blending {
 public:
  // Pixels of a tile's side and of the picture's width.
  Blending(Backend& op, int64_t side, int64_t width, int64_t columns)
      : op_(op),
        overlap_(overlap_of(side)),
        stride_(stride_of(side)),
        scope_(op.host_arena()),
        picture_(op.empty_on_host({stride_, width, kChannels}, DType::f32)),
        above_(op.empty_on_host({columns, overlap_, side, kChannels}, DType::f32)),
        left_(op.empty_on_host({side, overlap_, kChannels}, DType::f32)) {}

  // A tile's rows from the first one on.
  void add(const Tile& tile, int64_t first, const Tensor& pixels) {
    assert(pixels.dim(2) == tile.width && pixels.dim(3) == kChannels);
    const Scope scratch(op_.host_arena());
    const Tensor rows = op_.empty_on_host({pixels.dim(1), tile.width, kChannels}, DType::f32);
    op_.download(pixels, rows.data);
    for (int64_t y = 0; y < rows.dim(0) && !op_.measuring(); ++y) add_row(tile, first + y, rows[y].as<float>());
  }

  // Hands out the row of tiles: rows [first, first + height) of the picture.
  void draw(int64_t first, int64_t height, const DrawRows& draw_rows) {
    for (int64_t y = 0; y < height; y += overlap_) {
      auto scratch = op_.scope();
      const Tensor rows = picture_.batch(y, std::min(y + overlap_, height));
      draw_rows(first + y, op_.upload(rows.data, DType::f32, {1, rows.dim(0), rows.dim(1), kChannels}));
    }
  }

 private:
  void add_row(const Tile& tile, int64_t y, float* row) {
    const Tensor above = above_[tile.column], left = left_[y];
    if (const int64_t n = std::min(overlap_, tile.height); tile.has_above && y < n)
      blend(row, above[overlap_ - n + y].as<float>(), kChannels * tile.width, y, n);
    if (const int64_t n = std::min(overlap_, tile.width); tile.has_left)
      for (int64_t x = 0; x < n; ++x) blend(row + kChannels * x, left[overlap_ - n + x].as<float>(), kChannels, x, n);
    // Overwrites only edges of neighbours that have been read.
    const int64_t last_rows = tile.height - overlap_, last_columns = tile.width - overlap_;
    if (tile.has_below && y >= last_rows) copy_pixels(above[y - last_rows].as<float>(), row, tile.width);
    if (tile.has_right) copy_pixels(left.as<float>(), row + kChannels * last_columns, overlap_);
    if (y < stride_) copy_pixels(picture_[y][tile.x].as<float>(), row, std::min(tile.width, stride_));
  }

  Backend& op_;
  const int64_t overlap_, stride_;
  const Scope scope_;
  const Tensor picture_;  // [stride, width, 3]: the rows of the picture that this row of tiles is
  const Tensor above_;    // [columns, overlap, side, 3]: the last rows of each tile above
  const Tensor left_;     // [side, overlap, 3]: the last columns of the tile to the left
};

Tensor cut(Backend& op, const Tensor& latents, RowRange rows, RowRange columns) {
  const Tensor part = op.empty({1, latents.dim(1), rows.end - rows.begin, columns.end - columns.begin}, DType::f32);
  op.copy(part[0], latents[0].rows(rows.begin, rows.end).columns(columns.begin, columns.end));
  return part;
}

}  // namespace

int64_t tile_count(int64_t height, int64_t width, int64_t side) {
  if (std::max(height, width) <= side) return 1;
  const int64_t stride = stride_of(side);
  return ((height + stride - 1) / stride) * ((width + stride - 1) / stride);
}

void draw_in_tiles(Backend& op, const Tensor& latents, int64_t side, int64_t scale, const DecodeTile& decode,
                   const DrawRows& draw_rows) {
  assert(side % 4 == 0 && latents.dim(0) == 1);
  const int64_t height = latents.dim(2);
  const int64_t width = latents.dim(3);
  const int64_t stride = stride_of(side);
  Blending blending(op, scale * side, scale * width, (width + stride - 1) / stride);
  for (int64_t y = 0; y < height; y += stride) {
    for (int64_t x = 0; x < width; x += stride) {
      const RowRange rows{y, std::min(y + side, height)}, columns{x, std::min(x + side, width)};
      const Tile tile{.column = x / stride,
                      .x = scale * x,
                      .height = scale * (rows.end - rows.begin),
                      .width = scale * (columns.end - columns.begin),
                      .has_above = y > 0,
                      .has_below = y + stride<height, .has_left = x> 0,
                      .has_right = x + stride < width};
      auto scratch = op.scope();
      decode(cut(op, latents, rows, columns), [&](int64_t row, const Tensor& pixels) { blending.add(tile, row, pixels); });
    }
    blending.draw(scale * y, scale * std::min(stride, height - y), draw_rows);
  }
}

}  // namespace fude
