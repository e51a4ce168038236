// Convolutions as products whose left operand exists only as addresses: row m is an output pixel, k runs over (ky, kx, channel).
//
// Weights are packed as [out][ky][kx][channel], channels padded with zeros to whole 16-byte pieces; pictures whose channels are not
// such a multiple are padded the same way in the workspace. Nearest upsampling and zero padding are a matter of which address is read.
// Limit: tensor cores (f16, bf16) or arithmetic (f32).
#include "cuda/product_simt.cuh"
#include "cuda/product_tiles.cuh"

namespace fude::cuda {

namespace {

constexpr int64_t kChannelMultiple = 8;

int64_t padded_channels(const WeightShape& shape) { return (shape.in + kChannelMultiple - 1) / kChannelMultiple * kChannelMultiple; }

template <class T>
__global__ void pad_channels_kernel(T* out, const T* x, int64_t elements, int channels, int padded) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= elements) return;
  const int64_t pixel = i / padded;
  const int channel = static_cast<int>(i - pixel * padded);
  out[i] = channel < channels ? x[pixel * channels + channel] : from_float<T>(0.0f);
}

template <class T>
const T* pad_channels(cudaStream_t stream, const ConvArgs& args, void* workspace) {
  constexpr int kThreads = 256;
  const int64_t padded = padded_channels(args.shape), elements = args.n * args.height * args.width * padded;
  pad_channels_kernel<<<static_cast<unsigned>((elements + kThreads - 1) / kThreads), kThreads, 0, stream>>>(
      static_cast<T*>(workspace), static_cast<const T*>(args.x), elements, static_cast<int>(args.shape.in), static_cast<int>(padded));
  check(cudaGetLastError(), "padding channels");
  return static_cast<const T*>(workspace);
}

template <class T>
ConvOperand<T> picture_operand(const ConvArgs& args, const T* x) {
  const int64_t zoom = args.upsample ? 2 : 1;
  ConvOperand<T> p{};
  p.data = x;
  p.height = static_cast<int>(args.height);
  p.width = static_cast<int>(args.width);
  p.channels = static_cast<int>(padded_channels(args.shape));
  p.out_height = static_cast<int>(args.height * zoom / args.stride);
  p.out_width = static_cast<int>(args.width * zoom / args.stride);
  p.rows = static_cast<int>(args.n) * p.out_height * p.out_width;
  p.kernel = static_cast<int>(args.shape.kernel);
  p.stride = static_cast<int>(args.stride);
  p.before = args.stride == 2 ? 0 : p.kernel / 2;
  return p;
}

template <class T>
MatrixOperand<T> weight_operand(const ConvArgs& args) {
  const int rows = static_cast<int>(args.shape.out);
  const int k = static_cast<int>(args.shape.kernel * args.shape.kernel * padded_channels(args.shape));
  return {static_cast<const T*>(args.weight), 0, k, rows, rows, k};
}

Output output(const ConvArgs& args, int rows) {
  Output out{};
  out.data = args.out;
  out.bias = args.bias;
  out.row_stride = args.shape.out;
  out.rows = out.batch_rows = rows;
  out.columns = static_cast<int>(args.shape.out);
  out.activation = Activation::none;
  out.f32 = args.dtype == DType::f32;
  out.accumulate = args.accumulate;
  out.vectors = args.shape.out % kChannelMultiple == 0;
  return out;
}

template <bool kUpsample, class T>
void conv2d_of(const Card& card, cudaStream_t stream, const ConvArgs& args, const T* x) {
  const ConvOperand<T> pictures = picture_operand(args, x);
  const MatrixOperand<T> weight = weight_operand<T>(args);
  const Output out = output(args, pictures.rows);
  if (out.rows == 0) return;
  if constexpr (std::is_same_v<T, float>) {
    simt_product<T, ConvPixels<T, kSimtRows, kUpsample>, MatrixRows<T, kSimtRows>>(stream, pictures, weight, out);
  } else {
    const ProductSize size{out.rows, out.columns, weight.k};
    const Problem<T, ConvOperand<T>> problem{pictures, weight, out};
    with_tile(card, &size, 1, false, [&](auto tile) {
      using Tile = decltype(tile);
      product<T, Tile, ConvPixels<T, Tile::kRowsA, kUpsample>, 1>(card, stream, &problem, 1);
    });
  }
}

}  // namespace

int64_t conv_packed_elements(const WeightShape& shape) { return shape.out * shape.kernel * shape.kernel * padded_channels(shape); }

void pack_conv(const WeightShape& shape, const float* weight, float* packed) {
  const int64_t taps = shape.kernel * shape.kernel, padded = padded_channels(shape);
  for (int64_t o = 0; o < shape.out; ++o)
    for (int64_t tap = 0; tap < taps; ++tap)
      for (int64_t c = 0; c < padded; ++c) *packed++ = c < shape.in ? weight[(o * shape.in + c) * taps + tap] : 0.0f;
}

int64_t conv_workspace(const Card&, const ConvArgs& args) {
  if (args.shape.in % kChannelMultiple == 0) return 0;
  return args.n * args.height * args.width * padded_channels(args.shape) * size_of(args.dtype);
}

void conv2d(const Card& card, cudaStream_t stream, const ConvArgs& args, void* workspace) {
  with_type(args.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T* x = static_cast<const T*>(args.x);
    if (args.shape.in % kChannelMultiple != 0) x = pad_channels<T>(stream, args, workspace);
    if (args.upsample) conv2d_of<true, T>(card, stream, args, x);
    else conv2d_of<false, T>(card, stream, args, x);
  });
}

}  // namespace fude::cuda
