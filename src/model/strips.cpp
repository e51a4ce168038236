// The strip-wise passes: buffer layout, halo, GroupNorm statistics, convolution.
#include "model/strips.h"

#include <algorithm>
#include <cassert>

namespace fude {

namespace {

Tensor rows_of(const Tensor& map, RowRange rows) {
  const Tensor some = map[0].batch(rows.begin, rows.end);
  return some.view({1, some.dim(0), some.dim(1), some.dim(2)});
}

int64_t elements(const MapShape& shape) { return shape.height * shape.width * shape.channels; }

MapShape shape_of(int buffer, const Tensor& map) { return {buffer, map.dim(1), map.dim(2), map.dim(3)}; }

Tensor at(const Tensor& buffer, int64_t offset, DType dtype, std::initializer_list<int64_t> shape) {
  const Tensor t = Tensor::of(static_cast<char*>(buffer.data) + offset, dtype, shape);
  assert(offset + t.bytes() <= buffer.bytes());
  return t;
}

}  // namespace

FeatureMaps::FeatureMaps(Ops& op, const DecodePlan& plan, const std::vector<MapShape>& shapes, int64_t groups, float eps)
    : op_(op),
      groups_(groups),
      eps_(eps),
      through_host_(plan.through_host),
      smallest_(shapes.front().height),
      rows_at_once_((shapes.back().height + plan.strips - 1) / plan.strips) {
  assert(plan.strips >= 1);
  std::array<int64_t, 2> device{}, host{};
  for (const MapShape& shape : shapes) {
    const auto buffer = static_cast<size_t>(shape.buffer);
    const int64_t bytes = shift(shape) + elements(shape) * size_of(op.dtype());
    const int64_t sums = shape.height * pieces_of_row(shape) * 2 * shape.channels * size_of(DType::f32);
    if (host_offloaded(shape)) host[buffer] = std::max(host[buffer], bytes);
    device[buffer] = std::max(device[buffer], host_offloaded(shape) ? sums : bytes);
  }
  if (through_host_) host_scope_.emplace(op.host_arena());
  for (size_t buffer = 0; buffer < 2; ++buffer) {
    device_[buffer] = op.empty({device[buffer]}, DType::u8);
    if (through_host_) host_[buffer] = op.empty_on_host({host[buffer]}, DType::u8);
  }
}

int64_t FeatureMaps::pieces_of_row(const MapShape& shape) const {
  return op_.group_pieces_of_row(Tensor::of(nullptr, op_.dtype(), {1, shape.height, shape.width, shape.channels}));
}

// A row, rounded up: add_conv overwrites its input. It writes one row earlier in the buffer, so that a strip's results end
// where the halo of the next strip begins, the first row that is still to be read.
int64_t FeatureMaps::shift(const MapShape& shape) const {
  const int64_t row = shape.width * shape.channels * size_of(op_.dtype());
  return (row + Arena::kAlignment - 1) / Arena::kAlignment * Arena::kAlignment;
}

FeatureMap FeatureMaps::map(const MapShape& shape, int64_t offset) const {
  const auto buffer = static_cast<size_t>(shape.buffer);
  const bool on_host = host_offloaded(shape);
  FeatureMap map{.whole = at(on_host ? host_[buffer] : device_[buffer], offset, op_.dtype(),
                             {1, shape.height, shape.width, shape.channels}),
                 .sums = {},
                 .buffer = shape.buffer};
  if (on_host) map.sums = at(device_[buffer], 0, DType::f32, {1, shape.height * pieces_of_row(shape), 2, shape.channels});
  return map;
}

// Calls strip(rows) for strips of nearly the same height.
template <class Strip>
void FeatureMaps::for_each_strip(int64_t height, const Strip& strip) {
  const int64_t strips = strips_of(height);
  for (int64_t i = 0; i < strips; ++i) {
    auto scratch = op_.scope();
    strip(RowRange{i * height / strips, (i + 1) * height / strips});
  }
}

Tensor FeatureMaps::factors(const ConvInput& input) {
  if (!input.norm) return {};
  const Tensor& x = input.x.whole;
  Tensor sums = input.x.sums;
  if (!input.x.on_host()) {
    sums = op_.empty({1, x.dim(1) * op_.group_pieces_of_row(x), 2, x.dim(3)}, DType::f32);
    op_.group_sums(sums, x);
  }
  return op_.group_factors(sums, x.dim(1) * x.dim(2), *input.norm, groups_, eps_);
}

Tensor FeatureMaps::fetch(const FeatureMap& x, RowRange rows) {
  const Tensor some = rows_of(x.whole, rows);
  if (!x.on_host()) return some;
  Tensor copy = op_.empty({1, some.dim(1), some.dim(2), some.dim(3)});
  op_.from_host(copy, some);
  return copy;
}

Tensor FeatureMaps::on_device(const FeatureMap& x) { return fetch(x, {0, x.whole.dim(1)}); }

FeatureMaps::Read FeatureMaps::read(const ConvInput& input, const Tensor& factors, RowRange rows, int64_t kernel) {
  const int64_t upscale = input.upsample ? 2 : 1, halo = kernel / 2;
  const int64_t first = std::max<int64_t>(rows.begin - halo, 0) / upscale;
  const int64_t last = std::min((rows.end + halo + upscale - 1) / upscale, input.x.whole.dim(1));
  Tensor x = fetch(input.x, {first, last});
  if (input.norm) {
    const Tensor normalised = input.x.on_host() ? x : op_.empty({1, x.dim(1), x.dim(2), x.dim(3)});
    op_.scale_shift(normalised, x, factors, Activation::silu);
    x = normalised;
  }
  return {x, {rows.begin - upscale * first, rows.end - upscale * first}};
}

// `begin` fills the rows of the result with what the convolution is added to.
template <class Begin>
void FeatureMaps::convolve(const FeatureMap& out, const ConvInput& input, const Conv& w, bool accumulate, const Begin& begin) {
  auto scratch = op_.scope();
  const Tensor scale = factors(input);
  const int64_t pieces = pieces_of_row(shape_of(out.buffer, out.whole));
  for_each_strip(out.whole.dim(1), [&](RowRange rows) {
    Tensor y = rows_of(out.whole, rows);
    if (out.on_host()) y = op_.empty({1, y.dim(1), y.dim(2), y.dim(3)});
    const Read in = read(input, scale, rows, w.weight.shape.kernel);
    begin(y, rows);  // only after reading the input: it may be in the same memory
    op_.conv2d_into(y, in.x, w, {.upsample = input.upsample, .accumulate = accumulate, .rows = in.wanted});
    if (!out.on_host()) return;
    op_.to_host(rows_of(out.whole, rows), y);
    op_.group_sums(rows_of(out.sums, {rows.begin * pieces, rows.end * pieces}), y);
  });
}

FeatureMap FeatureMaps::conv(const ConvInput& input, const Conv& w) {
  const int64_t upscale = input.upsample ? 2 : 1;
  const Tensor& x = input.x.whole;
  const MapShape shape{1 - input.x.buffer, x.dim(1) * upscale, x.dim(2) * upscale, w.weight.shape.out};
  const FeatureMap out = map(shape, shift(shape));
  convolve(out, input, w, false, [](const Tensor&, RowRange) {});
  return out;
}

FeatureMap FeatureMaps::add_conv(const FeatureMap& x, const std::optional<Conv>& shortcut, const ConvInput& input,
                                 const Conv& w) {
  const FeatureMap out = shortcut ? map(shape_of(input.x.buffer, input.x.whole), 0) : x;
  convolve(out, input, w, true, [&](const Tensor& y, RowRange rows) {
    if (!shortcut) {
      if (x.on_host()) op_.from_host(y, rows_of(x.whole, rows));
      return;
    }
    auto scratch = op_.scope();
    op_.conv2d_into(y, fetch(x, rows), *shortcut);
  });
  return out;
}

void FeatureMaps::draw(const ConvInput& input, const Conv& w, const DrawRows& draw_rows) {
  auto scratch = op_.scope();
  const Tensor scale = factors(input);
  const int64_t width = input.x.whole.dim(2);
  const int64_t channels = w.weight.shape.out;
  for_each_strip(input.x.whole.dim(1), [&](RowRange rows) {
    const int64_t n = rows.end - rows.begin;
    const Tensor y = op_.empty({1, n, width, channels});
    const Tensor pixels = op_.empty({1, n, width, channels}, DType::f32);
    {
      auto scratch_of_convolution = op_.scope();
      const Read in = read(input, scale, rows, w.weight.shape.kernel);
      op_.conv2d_into(y, in.x, w, {.rows = in.wanted});
    }
    op_.copy(pixels, y);
    draw_rows(rows.begin, pixels);
  });
}

}  // namespace fude
