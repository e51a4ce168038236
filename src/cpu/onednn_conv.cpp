// Convolutions through oneDNN: pictures are cut into strips of rows, each computed by one thread. The layout of the weights
// hardly ever depends on how high a strip is; where it does, a picture stays whole.

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <vector>

#include "core/thread_team.h"
#include "cpu/onednn.h"
#include "cpu/onednn_ops.h"

namespace fude {

namespace {

using cpu::is_tuned;
using cpu::round_up;
using dnnl::memory;

// The input rows, halo included, that the wanted output rows of a convolution read: all of them, or rows of a single picture.
struct ConvSource {
  ConvSource(const Tensor& x, int64_t kernel, const ConvOptions& options) : read(x) {
    const int64_t upscale = options.upsample ? 2 : 1;
    const int64_t height = x.dim(1) * upscale;
    const int64_t halo = kernel / 2;
    const RowRange wanted = options.rows.end ? options.rows : RowRange{0, height};
    const int64_t begin = std::max<int64_t>(wanted.begin - halo, 0);
    const int64_t end = std::min(wanted.end + halo, height);
    rows = end - begin;
    top = options.stride == 2 ? 0 : halo - (wanted.begin - begin);
    bottom = options.stride == 2 ? kernel - 2 : halo - (end - wanted.end);
    first = begin % upscale;
    if (rows == height) return;
    assert(x.dim(0) == 1);
    read = x[0].batch(begin / upscale, (end + upscale - 1) / upscale);
    read = read.view({1, read.dim(0), read.dim(1), read.dim(2)});
  }

  Tensor read;
  int64_t first, rows;  // of the upsampled picture: those that the convolution gets
  int64_t top, bottom;  // rows of padding
};

// Fewer rows at once would read the weights, and rows of the halo, too often.
constexpr int64_t kRows = 8;

}  // namespace

// The workspace: the upsampled pictures, the weights in another layout (each only where it is needed), oneDNN's scratch for
// each thread.
struct CpuDevice::Products::ConvPlan {
  struct Piece {
    const Convolution* convolution;
    int64_t picture, read_row, row;  // first ones of what it reads and writes
  };

  ConvPlan(Products& products, const ConvCall& call, int64_t threads)
      : source(call.x, call.w.weight.shape.kernel, call.options),
        packed(products.packed_conv(call.w.weight.shape, call.x.dtype)),
        width(call.x.dim(2) * (call.options.upsample ? 2 : 1)),
        upsampled_bytes(call.options.upsample ? round_up(4 * source.read.bytes()) : 0) {
    const int64_t pictures = call.out.dim(0), height = call.out.dim(1);
    const double operations = 2.0 * static_cast<double>(call.out.numel()) * static_cast<double>(call.w.weight.shape.row());
    const int64_t most =
        std::clamp<int64_t>(static_cast<int64_t>(operations / cpu::kLeastPiece), 1, ThreadTeam::kPieces * threads);
    const int64_t rows = std::max(ceil_div(height * pictures, most), std::min(kRows, ceil_div(height * pictures, threads)));
    add_strips(products, call, ceil_div(height, rows));
    const bool agree = std::all_of(pieces.begin(), pieces.end(),
                                   [&](const Piece& each) { return each.convolution->pd.weights_desc() == weights(); });
    if (!agree) {
      pieces.clear();
      add_strips(products, call, 1);
    }
    for (const Piece& each : pieces)
      thread_bytes = std::max(thread_bytes, cpu::bytes_of(each.convolution->pd.scratchpad_desc()));
    if (weights() != packed) reordered_bytes = cpu::bytes_of(weights());
  }

  // Of each picture.
  void add_strips(Products& products, const ConvCall& call, int64_t strips) {
    const WeightShape& w = call.w.weight.shape;
    const int64_t height = call.out.dim(1), stride = call.options.stride;
    for (int64_t i = 0; i < call.out.dim(0) * strips; ++i) {
      const int64_t strip = i % strips;
      const int64_t row = height * strip / strips, end = height * (strip + 1) / strips;
      const int64_t read = row * stride - source.top, read_end = (end - 1) * stride + w.kernel - source.top;
      const int64_t first = std::max<int64_t>(read, 0), last = std::min(read_end, source.rows);
      pieces.push_back({&products.conv({last - first, width, w.in, w.out, w.kernel, stride, first - read, read_end - last,
                                        call.x.dtype, call.options.accumulate}),
                        i / strips, first, row});
    }
  }

  memory::desc weights() const { return pieces.front().convolution->pd.weights_desc(); }
  int64_t bytes(int64_t threads) const { return upsampled_bytes + reordered_bytes + threads * thread_bytes; }
  static int64_t ceil_div(int64_t n, int64_t by) { return (n + by - 1) / by; }

  ConvSource source;
  const memory::desc& packed;
  int64_t width, upsampled_bytes, reordered_bytes = 0, thread_bytes = 0;
  std::vector<Piece> pieces;
};

// A 1×1 convolution is a linear over pixels, and its weight is packed as one.
LinearCall CpuDevice::as_linear(const ConvCall& call) {
  const Tensor x = ConvSource(call.x, 1, call.options).read;
  return {call.out.view({call.out.numel() / call.out.dim(3), call.out.dim(3)}),
          x.view({x.numel() / x.dim(3), x.dim(3)}),
          {call.w.weight, call.w.bias},
          {.accumulate = call.options.accumulate},
          {}};
}

// Row ranges of a batch are convolved picture by picture.
ConvCall CpuDevice::of_picture(const ConvCall& call, int64_t i) {
  return {call.out.batch(i, i + 1), call.x.batch(i, i + 1), call.w, call.options};
}

int64_t CpuDevice::workspace(const ConvCall& call) const {
  if (!is_tuned(call.x.dtype)) return 0;
  if (call.options.rows.end && call.x.dim(0) > 1) return workspace(of_picture(call, 0));
  if (call.w.weight.shape.kernel == 1) return workspace(std::vector{as_linear(call)});
  return Products::ConvPlan(*products_, call, team_->size()).bytes(team_->size());
}

void CpuDevice::do_conv2d(const ConvCall& call, void* workspace) {
  if (!is_tuned(call.x.dtype)) return ReferenceDevice::do_conv2d(call, workspace);
  if (call.options.rows.end && call.x.dim(0) > 1) {
    for (int64_t i = 0; i < call.x.dim(0); ++i) do_conv2d(of_picture(call, i), workspace);
    return;
  }
  if (call.w.weight.shape.kernel == 1) return do_linears({as_linear(call)}, workspace);
  const Products::ConvPlan plan(*products_, call, team_->size());
  const dnnl::engine& engine = products_->engine;
  char* const upsampled = static_cast<char*>(workspace);
  char* const reordered = upsampled + plan.upsampled_bytes;
  char* const threads_begin = reordered + plan.reordered_bytes;
  const int64_t read_row = plan.width * call.x.dim(3) * size_of(call.x.dtype);
  const char* source = static_cast<const char*>(plan.source.read.data);
  int64_t source_rows = plan.source.rows;  // of a picture
  if (plan.upsampled_bytes) {
    upsample(plan.source.read, upsampled);
    source = upsampled + plan.source.first * read_row;
    source_rows = 2 * plan.source.read.dim(1);
  }
  memory weights(plan.packed, engine, const_cast<void*>(call.w.weight.data));
  if (plan.reordered_bytes) {
    const memory reordered_weights(plan.weights(), engine, reordered);
    cpu::reorder_weights(*team_, weights, reordered_weights);
    weights = reordered_weights;
  }
  team_->run(std::ssize(plan.pieces), [&](int64_t i, int thread) {
    const Products::ConvPlan::Piece& piece = plan.pieces[static_cast<size_t>(i)];
    const auto& [pd, convolution] = *piece.convolution;
    const char* const from = source + (piece.picture * source_rows + piece.read_row) * read_row;
    char* const to =
        call.out[piece.picture].as<char>() + piece.row * call.out.dim(2) * call.out.dim(3) * size_of(call.out.dtype);
    cpu::execute(convolution, engine,
                 {{DNNL_ARG_SRC, memory(pd.src_desc(), engine, const_cast<char*>(from))},
                  {DNNL_ARG_WEIGHTS, weights},
                  {DNNL_ARG_BIAS, memory(pd.bias_desc(), engine, call.w.bias.data)},
                  {DNNL_ARG_DST, memory(pd.dst_desc(), engine, to)},
                  {DNNL_ARG_SCRATCHPAD, memory(pd.scratchpad_desc(), engine, threads_begin + thread * plan.thread_bytes)}});
  });
}

// Nearest neighbour: each pixel twice in both directions.
void CpuDevice::upsample(const Tensor& x, char* out) const {
  const int64_t width = x.dim(2);
  const int64_t pixel = x.dim(3) * size_of(x.dtype);
  team_->run_ranges(x.dim(0) * x.dim(1), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      char* const to = out + row * 4 * width * pixel;
      const char* const from = static_cast<const char*>(x.data) + row * width * pixel;
      for (int64_t i = 0; i < 2 * width; ++i) std::memcpy(to + i * pixel, from + i / 2 * pixel, static_cast<size_t>(pixel));
      std::memcpy(to + 2 * width * pixel, to, static_cast<size_t>(2 * width * pixel));
    }
  });
}

}  // namespace fude
