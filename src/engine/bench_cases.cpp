// SD3.5-medium's shapes as calls, and how much each computes and moves.
#include "engine/bench_cases.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "engine/text_encoders.h"

namespace fude {

namespace {

using Call = BenchCase::Call;

constexpr int64_t kNumbers = 1'000'003;  // a prime: no row of a matrix repeats another
// What memory limits works through this much of it before it comes back to the same bytes: no cache keeps it.
constexpr int64_t kPastCaches = int64_t{256} << 20;

// SD3.5-medium
constexpr int64_t kBatch = 2;  // guidance: the negative prompt's row and the prompt's
constexpr int64_t kWidth = 1536, kHeads = 24, kHeadDim = kWidth / kHeads, kMlp = 4 * kWidth;
constexpr int64_t kTextTokens = kClipTokens + kT5Tokens;
constexpr int64_t kTokenSide = 16, kLatentSide = 8;  // in pixels
constexpr int64_t kGroups = 32;
constexpr float kEps = 1e-6f;

// "2048x4608x1536"
std::string times(std::initializer_list<int64_t> extents) {
  std::string text;
  for (const int64_t extent : extents) text += (text.empty() ? "" : "x") + std::to_string(extent);
  return text;
}

BenchCase limited_by_memory(std::string name, std::string shape, int64_t bytes,
                            const std::function<Call(const BenchInputs&, int64_t copies)>& prepare) {
  const int64_t copies = (kPastCaches + bytes - 1) / bytes;
  return {std::move(name), std::move(shape), bytes, copies, [=](const BenchInputs& make) { return prepare(make, copies); }};
}

Call norms(const BenchInputs& make, int64_t tokens, int64_t copies) {
  Ops& op = make.op;
  const Tensor x = make.tensor({copies * kBatch, tokens, kWidth});
  const Tensor shift = make.tensor({kBatch, kWidth}, DType::f32);
  const Tensor scale = make.tensor({kBatch, kWidth}, DType::f32);
  return [=, &op](int64_t i) { op.norm_modulate(x.batch(i * kBatch, (i + 1) * kBatch), shift, scale, kEps); };
}

enum class Fused { none, head_norms, gelu, gate };

// The shape is rows × outputs × inputs.
BenchCase linear(const std::string& name, int64_t rows, int64_t out, int64_t in, Fused fused) {
  return {name, times({kBatch * rows, out, in}), 0, 1, [=](const BenchInputs& make) -> Call {
            Ops& op = make.op;
            LinearCall call{.out = make.tensor({kBatch, rows, out}),
                            .x = make.tensor({kBatch, rows, in}),
                            .w = make.linear(out, in),
                            .options = {},
                            .gate = {}};
            if (fused == Fused::gelu) call.options.activation = Activation::gelu_tanh;
            if (fused == Fused::head_norms) call.options.norms = {make.vector(kHeadDim), make.vector(kHeadDim), kEps};
            if (fused == Fused::gate) {
              const std::vector<float> zeros(static_cast<size_t>(kBatch * out));  // the sums must not grow from call to call
              call.gate = op.upload(zeros.data(), DType::f32, {kBatch, out});
            }
            return [&op, call](int64_t) { op.linears({call}); };
          }};
}

BenchCase norm_modulate(int64_t tokens, DType dtype) {
  BenchCase once = norm(tokens, dtype);
  return limited_by_memory(once.name, once.shape, once.bytes,
                           [=](const BenchInputs& make, int64_t copies) { return norms(make, tokens, copies); });
}

BenchCase group_norm(int64_t height, int64_t width, int64_t channels, DType dtype) {
  return limited_by_memory("group norm, silu", times({height, width, channels}), 2 * height * width * channels * size_of(dtype),
                           [=](const BenchInputs& make, int64_t copies) -> Call {
                             Ops& op = make.op;
                             const Tensor x = make.tensor({copies, height, width, channels});
                             const Norm norm{make.vector(channels), make.vector(channels)};
                             return [=, &op](int64_t i) {
                               op.group_norm(x.batch(i, i + 1), norm, kGroups, kEps, Activation::silu);
                             };
                           });
}

}  // namespace

// ---- inputs ----------------------------------------------------------------------------------------------------------------

// From -1 to 1. Zeros would do for the arithmetic, but a card that multiplies them clocks higher.
BenchNumbers::BenchNumbers() : numbers_(kNumbers) {
  uint64_t state = 1;
  for (float& number : numbers_) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    number = static_cast<float>(static_cast<int32_t>(state >> 32)) * 0x1p-31f;
  }
}

void BenchNumbers::read(int64_t begin, int64_t end, DType as, void* out) const {
  auto* next = static_cast<char*>(out);
  while (begin < end) {
    const int64_t first = begin % kNumbers;
    const int64_t n = std::min(end - begin, kNumbers - first);
    from_f32(as, numbers_.data() + first, next, n);
    next += n * size_of(as);
    begin += n;
  }
}

Tensor BenchInputs::tensor(std::initializer_list<int64_t> shape, DType dtype) const {
  if (op.measuring()) return op.empty(shape, dtype);
  const int64_t n = Tensor::of(nullptr, dtype, shape).numel();
  std::vector<char> values(static_cast<size_t>(n * size_of(dtype)));
  numbers_.read(0, n, dtype, values.data());
  return op.upload(values.data(), dtype, shape);
}

Weight BenchInputs::weight(const WeightShape& shape) const {
  const WeightFormat format = dense_format(op.dtype());
  void* memory = op.arena().allocate(op.device().packed_bytes(shape, format));
  if (op.measuring()) return {memory, format, shape};
  const float scale =
      1 / std::sqrt(static_cast<float>(shape.row()));  // results stay where activations' exponentials are ordinary
  const ReadRows rows = [&](int64_t begin, int64_t end, WeightFormat as, void* out) {
    std::vector<float> values(static_cast<size_t>((end - begin) * shape.row()));
    numbers_.read(begin * shape.row(), end * shape.row(), DType::f32, values.data());
    for (float& value : values) value *= scale;
    from_f32(element_of(as), values.data(), out, std::ssize(values));
  };
  const std::unique_ptr<Transfer> transfer = op.device().begin_transfer();
  const Weight packed = transfer->pack(shape, format, rows, memory);
  transfer->wait();
  return packed;
}

Linear BenchInputs::linear(int64_t out, int64_t in) const { return {weight({.out = out, .in = in}), vector(out)}; }
Conv BenchInputs::conv(int64_t out, int64_t in, bool upsample) const {
  return {weight({.out = out, .in = in, .kernel = 3, .upsample = upsample}), vector(out)};
}

// ---- cases -----------------------------------------------------------------------------------------------------------------

std::vector<BenchCase> bench_cases(int64_t width, int64_t height, DType dtype) {
  const int64_t image = (width / kTokenSide) * (height / kTokenSide), w = width / kLatentSide, h = height / kLatentSide;
  std::vector<BenchCase> cases;
  for (const auto& [stream, tokens] : {std::pair{", image", image}, std::pair{", text", kTextTokens}}) {
    cases.push_back(linear(std::string("qkv, norms") + stream, tokens, 3 * kWidth, kWidth, Fused::head_norms));
    cases.push_back(linear(std::string("projection") + stream, tokens, kWidth, kWidth, Fused::gate));
    cases.push_back(linear(std::string("fc1, gelu") + stream, tokens, kMlp, kWidth, Fused::gelu));
    cases.push_back(linear(std::string("fc2") + stream, tokens, kWidth, kMlp, Fused::gate));
  }
  cases.push_back(attention("attention, joint", kBatch, kHeads, image + kTextTokens, kHeadDim));
  cases.push_back(attention("attention, image", kBatch, kHeads, image, kHeadDim));
  cases.push_back(norm_modulate(image, dtype));
  // The decoder's, from the latents to the pixels.
  cases.push_back(attention("attention, decoder", 1, 1, h * w, 512));
  cases.push_back(conv(h, w, 512, 512, false));
  cases.push_back(conv(h, w, 512, 512, true));
  cases.push_back(conv(2 * h, 2 * w, 512, 512, false));
  cases.push_back(conv(2 * h, 2 * w, 512, 512, true));
  cases.push_back(conv(4 * h, 4 * w, 256, 256, false));
  cases.push_back(conv(4 * h, 4 * w, 256, 256, true));
  cases.push_back(conv(8 * h, 8 * w, 128, 128, false));
  cases.push_back(conv(8 * h, 8 * w, 3, 128, false));
  cases.push_back(group_norm(8 * h, 8 * w, 128, dtype));
  return cases;
}

BenchCase product(int64_t rows, int64_t out, int64_t in) {
  return {"matrix product", times({rows, out, in}), 0, 1, [=](const BenchInputs& make) -> Call {
            Ops& op = make.op;
            const Tensor x = make.tensor({rows, in});
            const Linear w = make.linear(out, in);
            return [=, &op](int64_t) { op.linear(x, w); };
          }};
}

// The shape is batch × heads × tokens × head.
BenchCase attention(const std::string& name, int64_t batch, int64_t heads, int64_t tokens, int64_t head_dim) {
  return {name, times({batch, heads, tokens, head_dim}), 0, 1, [=](const BenchInputs& make) -> Call {
            Ops& op = make.op;
            const int64_t d = heads * head_dim;
            const Tensor qkv = make.tensor({batch, tokens, 3 * d});
            const AttentionOptions options{
                .heads = heads, .scale = 1 / std::sqrt(static_cast<float>(head_dim)), .causal = false, .bias = {}};
            return [=, &op](int64_t) {
              op.attention(qkv.columns(0, d), qkv.columns(d, 2 * d), qkv.columns(2 * d, 3 * d), options);
            };
          }};
}

// The shape is that of the result, then the channels that go in.
BenchCase conv(int64_t height, int64_t width, int64_t out, int64_t in, bool upsample) {
  const int64_t upscale = upsample ? 2 : 1;
  return {upsample ? "upsampling, conv" : "conv", times({upscale * height, upscale * width, out, in}), 0, 1,
          [=](const BenchInputs& make) -> Call {
            Ops& op = make.op;
            const Tensor x = make.tensor({1, height, width, in});
            const Conv w = make.conv(out, in, upsample);
            return [=, &op](int64_t) { op.conv2d(x, w, {.stride = 1, .upsample = upsample, .accumulate = false}); };
          }};
}

BenchCase norm(int64_t tokens, DType dtype) {
  return {"norm, modulate", times({kBatch, tokens, kWidth}), 2 * kBatch * tokens * kWidth * size_of(dtype), 1,
          [=](const BenchInputs& make) { return norms(make, tokens, 1); }};
}

BenchCase large_copy() {
  constexpr int64_t kColumns = 1024;
  constexpr int64_t kRows = kPastCaches / (kColumns * size_of(DType::f32));
  return {"copy", times({kRows, kColumns}), 2 * kPastCaches, 1, [=](const BenchInputs& make) -> Call {
            Ops& op = make.op;
            const Tensor x = make.tensor({kRows, kColumns}, DType::f32);
            const Tensor out = op.empty({kRows, kColumns}, DType::f32);
            return [=, &op](int64_t) { op.copy(out, x); };
          }};
}

}  // namespace fude
