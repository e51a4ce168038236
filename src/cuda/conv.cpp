// Convolutions as implicit GEMM: the im2col matrix exists only as addresses. Row m is an output pixel, k runs over (ky, kx,
// channel).
//
// Weights are packed as [out][ky][kx][channel], channels padded with zeros to multiples of 16 bytes; images whose channels are
// not such a multiple are padded the same way in the workspace. Zero padding at the borders is a matter of which address is
// read.
//
// After nearest ×2 upsampling, 3×3 taps see only 2×2 input pixels; which ones depends on whether the output pixel's y and x are
// odd. So there are four phases, each a convolution with 2×2 taps that are sums of the original ones and with a quarter of the
// output: 2.25 times less work in all. Their weights are packed as [out][odd y][odd x][ky][kx][channel]. Limit: tensor cores
// (f16, bf16) or arithmetic (f32).
#include <algorithm>
#include <type_traits>

#include "cuda/ceil_div.h"
#include "cuda/conv_params.h"
#include "cuda/conv_sm90.h"
#include "cuda/gemm_tiling.h"
#include "cuda/simt_launch.h"

namespace fude::cuda {

FUDE_KERNELS(conv, FUDE_CONV_KERNELS)

namespace {

constexpr int64_t kChannelMultiple = 8;
constexpr int kPhases = 4;  // of an upsampled image's pixels: y and x even or odd
static_assert(kPhases <= kMaxProblems);

int64_t packed_taps(const WeightShape& shape) { return shape.upsample ? kPhases * 4 : shape.kernel * shape.kernel; }

int64_t padded_channels(const WeightShape& shape) { return ceil_div(shape.in, kChannelMultiple) * kChannelMultiple; }

template <class T>
const T* pad_channels(CUstream stream, const ConvArgs& args, void* workspace) {
  const int64_t padded = padded_channels(args.shape);
  const int64_t elements = args.n * args.height * args.width * padded;
  const PadChannelsKernel<T> kernel{static_cast<T*>(workspace), static_cast<const T*>(args.x), elements,
                                    static_cast<int>(args.shape.in), static_cast<int>(padded)};
  launch(stream, {ceil_div(elements, kernel.kThreads)}, kernel, "padding channels");
  return static_cast<const T*>(workspace);
}

// One phase: a convolution whose output pixels lie `upscale` apart in both directions, from (odd_y, odd_x) on.
template <class T>
Problem<T, ConvOperand<T>> problem(const ConvArgs& args, const T* x, int64_t upscale, int64_t odd_y, int64_t odd_x) {
  const int64_t width = args.width * upscale / args.stride;
  const int64_t channels = padded_channels(args.shape);
  const auto source = [&](int64_t row) { return (row - odd_y + upscale - 1) / upscale; };  // the first one of this phase
  Problem<T, ConvOperand<T>> p{};
  ConvOperand<T>& a = p.a;
  a.data = x;
  a.height = static_cast<int>(args.height);
  a.width = static_cast<int>(args.width);
  a.channels = static_cast<int>(channels);
  a.out_top = static_cast<int>(source(args.begin));
  a.out_height = static_cast<int>(source(args.end)) - a.out_top;
  a.out_width = static_cast<int>(width / upscale);
  a.rows = static_cast<int>(args.n) * a.out_height * a.out_width;
  a.kernel = upscale == 2 ? 2 : 3;
  a.stride = static_cast<int>(args.stride);
  a.above = args.stride == 2 ? 0 : static_cast<int>(1 - odd_y);
  a.left = args.stride == 2 ? 0 : static_cast<int>(1 - odd_x);

  const int64_t taps = a.kernel * a.kernel, rows = args.shape.out;
  p.b = {static_cast<const T*>(args.weight) + (odd_y * upscale + odd_x) * taps * channels,
         0,
         packed_taps(args.shape) * channels,
         static_cast<int>(rows),
         static_cast<int>(rows),
         static_cast<int>(taps * channels)};

  Epilogue& out = p.out;  // every row of pixels is a batch item of its own
  out.data = static_cast<T*>(args.out) + ((upscale * a.out_top + odd_y - args.begin) * width + odd_x) * args.shape.out;
  out.bias = args.bias;
  out.row_stride = upscale * args.shape.out;
  out.batch_stride = upscale * width * args.shape.out;
  out.rows = a.rows;
  out.batch_rows = a.out_width;
  out.columns = static_cast<int>(args.shape.out);
  out.activation = Activation::none;
  out.f32 = args.dtype == DType::f32;
  out.accumulate = args.accumulate;
  out.vectors = args.shape.out % kChannelMultiple == 0;
  return p;
}

template <class T>
void run(const Card& card, CUstream stream, const Problem<T, ConvOperand<T>>* problems, int count) {
  if constexpr (std::is_same_v<T, float>) {
    for (int i = 0; i < count; ++i)
      if (problems[i].out.rows > 0)
        simt_gemm(stream, SimtGemmKernel<T, ConvOperand<T>, false>{problems[i].a, problems[i].b, problems[i].out});
  } else {
    GemmSize sizes[kPhases];
    int rows = 0;
    for (int i = 0; i < count; ++i) {
      sizes[i] = {problems[i].out.rows, problems[i].out.columns, problems[i].b.k};
      rows += sizes[i].rows;
    }
    if (rows == 0) return;
    with_tile(card, sizes, count, false, [&](auto tile) {
      using Tile = decltype(tile);
      gemm<T, Tile>(card, stream, problems, count);
    });
  }
}

// Image by image: in a strip of the output, one phase's rows may not lie one stride apart from image to image.
template <class T>
void upsample_and_run(const Card& card, CUstream stream, const ConvArgs& args, const T* x) {
  ConvArgs one = args;
  one.n = 1;
  for (int64_t n = 0; n < args.n; ++n) {
    one.out = static_cast<T*>(args.out) + n * (args.end - args.begin) * 2 * args.width * args.shape.out;
    const T* image = x + n * args.height * args.width * padded_channels(args.shape);
    Problem<T, ConvOperand<T>> problems[kPhases];
    for (int i = 0; i < kPhases; ++i) problems[i] = problem(one, image, 2, i / 2, i % 2);
    run(card, stream, problems, kPhases);
  }
}

}  // namespace

int64_t conv_packed_elements(const WeightShape& shape) { return shape.out * packed_taps(shape) * padded_channels(shape); }

void pack_conv(const WeightShape& shape, const float* weight, float* packed) {
  const int64_t taps = shape.kernel * shape.kernel;
  const int64_t padded = padded_channels(shape);
  const int64_t row = packed_taps(shape) * padded;
  std::fill(packed, packed + shape.out * row, 0.0f);
  for (int64_t o = 0; o < shape.out; ++o, weight += shape.in * taps, packed += row) {
    const auto add = [&](int64_t to, int64_t tap) {
      for (int64_t c = 0; c < shape.in; ++c) packed[to * padded + c] += weight[c * taps + tap];
    };
    for (int64_t tap = 0; tap < taps; ++tap) {
      if (!shape.upsample) add(tap, tap);
      // Which of the two input pixels a tap sees: half of the upsampled position, rounded down, counted from the first one.
      for (int64_t phase = 0; shape.upsample && phase < kPhases; ++phase) {
        const int64_t odd_y = phase / 2, odd_x = phase % 2;
        const int64_t ky = (tap / 3 + odd_y + 1) / 2 - odd_y, kx = (tap % 3 + odd_x + 1) / 2 - odd_x;
        add(phase * 4 + ky * 2 + kx, tap);
      }
    }
  }
}

int64_t conv_workspace(const Card&, const ConvArgs& args) {
  if (args.shape.in % kChannelMultiple == 0) return 0;
  return args.n * args.height * args.width * padded_channels(args.shape) * size_of(args.dtype);
}

void conv2d(const Card& card, CUstream stream, const ConvArgs& args, void* workspace) {
  if (conv_sm90_supports(card, args)) return conv_sm90(card, stream, args);
  with_type(args.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T* x = static_cast<const T*>(args.x);
    if (args.shape.in % kChannelMultiple != 0) x = pad_channels<T>(stream, args, workspace);
    if (args.shape.upsample) return upsample_and_run<T>(card, stream, args, x);
    const auto whole = problem<T>(args, x, 1, 0, 0);
    run<T>(card, stream, &whole, 1);
  });
}

}  // namespace fude::cuda
