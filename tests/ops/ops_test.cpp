// The op table: every operation on every device against the f64-accumulating reference in f32, at shapes off every tile and
// misaligned; fused operations against their definitions; the dry run against the real run.

#include <functional>
#include <random>

#include "support.h"

namespace fude::test {
namespace {

// Random inputs of a case, the same for every device: the tensor a device gets is these values rounded to its dtype.
class Inputs {
 public:
  explicit Inputs(Ops& op, uint32_t seed = 1) : op_(op), random_(seed) {}

  Tensor tensor(std::initializer_list<int64_t> shape, float scale = 1) { return make(shape, op_.dtype(), scale); }
  Tensor f32(std::initializer_list<int64_t> shape, float scale = 1) { return make(shape, DType::f32, scale); }

  // Columns [1, 1 + last) of a wider tensor: no row is aligned.
  Tensor misaligned(int64_t b, int64_t rows, int64_t columns) { return tensor({b, rows, columns + 3}).columns(1, 1 + columns); }

  Linear linear(int64_t out, int64_t in, bool bias = true) {
    Linear w{.weight = weight({.out = out, .in = in}), .bias = {}};
    if (bias) w.bias = f32({out});
    return w;
  }
  Conv conv(int64_t out, int64_t in, int64_t kernel, bool upsample = false) {
    return {.weight = weight({.out = out, .in = in, .kernel = kernel, .upsample = upsample}), .bias = f32({out})};
  }

 private:
  std::vector<float> values(int64_t n, float scale) {
    std::normal_distribution<float> normal;
    std::vector<float> v(static_cast<size_t>(n));
    for (float& x : v)
      x = from_bf16(to_bf16(normal(random_) * scale));  // exact in every dtype, so that only the operation differs
    return v;
  }

  Tensor make(std::initializer_list<int64_t> shape, DType dtype, float scale) {
    int64_t n = 1;
    for (int64_t d : shape) n *= d;
    const std::vector<float> v = values(n, scale);
    std::vector<char> narrow(static_cast<size_t>(n * size_of(dtype)));
    from_f32(dtype, v.data(), narrow.data(), n);
    return op_.upload(narrow.data(), dtype, shape);
  }

  Weight weight(const WeightShape& shape) {
    const std::vector<float> v = values(shape.numel(), 1.0f / std::sqrt(static_cast<float>(shape.row())));
    const WeightFormat format = dense_format(op_.dtype());
    void* memory = op_.arena().allocate(op_.device().packed_bytes(shape, format));
    if (op_.measuring()) return {memory, format, shape};
    const std::unique_ptr<Transfer> transfer = op_.device().begin_transfer();
    const Weight packed = transfer->pack(
        shape, format,
        [&](int64_t begin, int64_t end, WeightFormat as, void* rows) {
          from_f32(element_of(as), v.data() + begin * shape.row(), rows, (end - begin) * shape.row());
        },
        memory);
    transfer->wait();
    return packed;
  }

  Ops& op_;
  std::mt19937 random_;
};

struct Case {
  std::string name;
  std::function<Tensor(Ops&, Inputs&)> run;
  double narrow_scale = 1;  // of the tolerance in bf16 and f16
};

void PrintTo(const Case& test, std::ostream* out) { *out << test.name; }

Tensor attention_case(Ops& op, Inputs& in, int64_t b, int64_t queries, int64_t keys, int64_t heads, int64_t head_dim,
                      bool causal, bool bias) {
  const int64_t d = heads * head_dim;
  Tensor qkv = in.tensor({b, keys, 3 * d});
  AttentionOptions options{
      .heads = heads, .scale = 1.0f / std::sqrt(static_cast<float>(head_dim)), .causal = causal, .bias = {}};
  if (bias) options.bias = in.f32({heads, queries, keys});
  return op.attention(qkv.columns(0, d).rows(keys - queries, keys), qkv.columns(d, 2 * d), qkv.columns(2 * d, 3 * d), options);
}

// A 3×3 convolution of pictures [n, height, width, in].
struct ConvCase {
  int64_t n, height, width, in, out;
  bool upsample = false, accumulate = false;
  RowRange rows = {};

  std::string name() const {
    std::string text = "conv3x3_" + std::to_string(n) + "x" + std::to_string(height) + "x" + std::to_string(width) + "_" +
                       std::to_string(in) + "to" + std::to_string(out) + (upsample ? "_up" : "") +
                       (accumulate ? "_accumulate" : "");
    if (rows.end) text += "_rows" + std::to_string(rows.begin) + "to" + std::to_string(rows.end);
    return text;
  }
  Tensor run(Ops& op, Inputs& inputs) const {
    const int64_t scale = upsample ? 2 : 1, wanted = rows.end ? rows.end - rows.begin : scale * height;
    Tensor result = accumulate ? inputs.tensor({n, wanted, scale * width, out}) : op.empty({n, wanted, scale * width, out});
    op.conv2d_into(result, inputs.tensor({n, height, width, in}), inputs.conv(out, in, 3, upsample),
                   {.stride = 1, .upsample = upsample, .accumulate = accumulate, .rows = rows});
    return result;
  }
};

// Few channels and many, pictures that no tile divides, and ranges of rows that begin and end at odd ones.
const ConvCase kConvCases[] = {
    {1, 33, 65, 64, 64},
    {1, 8, 8, 256, 128},
    {2, 8, 8, 128, 256},
    {2, 17, 23, 64, 192},
    {1, 17, 23, 128, 64},
    {2, 17, 23, 64, 3},
    {2, 39, 9, 64, 5, false, true, {20, 39}},
    {2, 9, 20, 64, 128, false, true},
    {2, 5, 7, 11, 13, true},
    {2, 9, 13, 64, 64, true},
    {1, 16, 8, 128, 64, true},
    {1, 17, 9, 64, 128, true, true},
    {2, 6, 10, 16, 24, false, false, {1, 4}},
    {2, 6, 10, 11, 3, true, false, {3, 10}},
    {1, 6, 10, 16, 24, true, true, {5, 6}},
    {2, 39, 23, 64, 64, false, false, {5, 24}},
    {2, 39, 9, 64, 64, false, true, {20, 39}},
    {2, 19, 9, 64, 64, true, false, {0, 37}},
    {1, 19, 9, 64, 64, true, false, {3, 38}},
    {1, 19, 9, 64, 64, true, true, {7, 8}},
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = [] {
    std::vector<Case> t;
    for (const auto& [m, n, k] :
         {std::tuple{1, 48, 64}, {333, 64, 64}, {7, 5, 3}, {17, 129, 65}, {154, 192, 128}, {2, 1000, 8192}})
      t.push_back({"linear_" + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k), [=](Ops& op, Inputs& in) {
                     return op.linear(in.tensor({m, k}), in.linear(n, k));
                   }});
    t.push_back({"linear_no_bias", [](Ops& op, Inputs& in) {
                   return op.linear(in.tensor({2, 9, 40}), in.linear(24, 40, false));
                 }});
    for (Activation a : {Activation::silu, Activation::gelu_tanh, Activation::gelu_erf, Activation::quick_gelu}) {
      const std::string label = std::to_string(static_cast<int>(a));
      t.push_back({"linear_activation_" + label, [=](Ops& op, Inputs& in) {
                     return op.linear(in.tensor({19, 32}), in.linear(40, 32), {.activation = a});
                   }});
      t.push_back({"activate_" + label, [=](Ops& op, Inputs& in) { return op.activate(in.misaligned(2, 5, 37), a); }});
    }
    t.push_back({"linear_accumulate_f32", [](Ops& op, Inputs& in) {
                   Tensor out = in.f32({2, 11, 48});
                   op.linear_into(out, in.tensor({2, 11, 64}), in.linear(48, 64), {.accumulate = true});
                   return out;
                 }});
    // Large enough to be split among threads: into rows, into columns, and into both.
    t.push_back({"linear_in_pieces_of_rows", [](Ops& op, Inputs& in) {
                   Tensor out = in.f32({2, 150, 512}).columns(64, 384);
                   op.linear_into(out.rows(3, 143), in.tensor({2, 150, 304}).columns(8, 264).rows(1, 141), in.linear(320, 256),
                                  {.activation = Activation::silu, .accumulate = true});
                   return out;
                 }});
    t.push_back({"linear_in_pieces_of_columns", [](Ops& op, Inputs& in) {
                   return op.linear(in.tensor({2, 1024}), in.linear(2048, 1024), {.activation = Activation::gelu_tanh});
                 }});
    t.push_back({"linear_in_pieces_of_both", [](Ops& op, Inputs& in) {
                   Tensor out = in.f32({170, 1024});
                   op.linear_into(out, in.tensor({170, 512}), in.linear(1024, 512), {.accumulate = true});
                   return out;
                 }});
    t.push_back({"linear_into_row_ranges", [](Ops& op, Inputs& in) {
                   Tensor out = in.tensor({2, 13, 24});
                   op.linear_into(out.rows(4, 13), in.tensor({2, 12, 16}).rows(0, 9), in.linear(24, 16));
                   return out;
                 }});
    t.push_back(
        {"linear_gated", [](Ops& op, Inputs& in) {
           Tensor x = in.tensor({2, 21, 48});
           op.linears({{x.rows(3, 20), in.tensor({2, 17, 64}), in.linear(48, 64), {}, in.f32({2, 96}).columns(48, 96)}});
           return x;
         }});
    t.push_back(
        {"linears_side_by_side", [](Ops& op, Inputs& in) {  // as a block with two attentions projects
           Tensor rows = op.empty({2, 89, 3 * 128});
           const auto call = [&](const Tensor& out) {
             const Tensor query = in.f32({64});
             const Tensor key = in.f32({64});
             return LinearCall{out, in.tensor({2, out.dim(1), 72}), in.linear(3 * 128, 72), {.norms = {query, key, 1e-6f}}, {}};
           };
           op.linears({call(rows.rows(0, 39)), call(rows.rows(39, 50)), call(rows.rows(50, 89))});
           return rows;
         }});
    t.push_back({"parallel", [](Ops& op, Inputs& in) {
                   Tensor out = op.empty({2, 30, 48});
                   const Tensor x = in.tensor({2, 30, 64});
                   const Linear first = in.linear(48, 64);
                   const Linear second = in.linear(48, 64);
                   op.parallel(
                       [&] { op.copy(out.rows(0, 13), op.linear(op.activate(x.rows(0, 13), Activation::silu), first)); },
                       [&] { op.copy(out.rows(13, 30), op.linear(op.activate(x.rows(13, 30), Activation::silu), second)); });
                   return out;
                 }});
    t.push_back(
        {"attention_joint", [](Ops& op, Inputs& in) { return attention_case(op, in, 2, 77, 77, 3, 64, false, false); }});
    t.push_back(
        {"attention_some_queries", [](Ops& op, Inputs& in) { return attention_case(op, in, 2, 5, 333, 2, 64, false, false); }});
    t.push_back(
        {"attention_causal", [](Ops& op, Inputs& in) { return attention_case(op, in, 2, 77, 77, 2, 64, true, false); }});
    t.push_back({"attention_bias", [](Ops& op, Inputs& in) { return attention_case(op, in, 1, 50, 50, 2, 32, false, true); }});
    t.push_back({"attention_one_wide_head",
                 [](Ops& op, Inputs& in) { return attention_case(op, in, 1, 150, 150, 1, 512, false, false); }});
    t.push_back(
        {"attention_one_token", [](Ops& op, Inputs& in) { return attention_case(op, in, 1, 1, 1, 2, 8, false, false); }});
    t.push_back({"layer_norm", [](Ops& op, Inputs& in) {
                   return op.layer_norm(in.misaligned(2, 7, 65), {.weight = in.f32({65}), .bias = in.f32({65})}, 1e-5f);
                 }});
    t.push_back({"rms_norm_of_f32", [](Ops& op, Inputs& in) {
                   return op.rms_norm(in.f32({2, 7, 65}, 30), in.f32({65}), 1e-6f);
                 }});
    t.push_back({"rms_norm_heads", [](Ops& op, Inputs& in) {
                   Tensor qkv = in.tensor({2, 9, 3 * 64});
                   op.rms_norm_heads(qkv.columns(64, 128), in.f32({32}), 1e-6f);
                   return qkv;
                 }});
    t.push_back({"norm_modulate", [](Ops& op, Inputs& in) {
                   Tensor m = in.f32({2, 3 * 65});
                   return op.norm_modulate(in.tensor({2, 11, 65}), m.columns(0, 65), m.columns(130, 195), 1e-6f);
                 }});
    t.push_back({"group_norm", [](Ops& op, Inputs& in) {
                   return op.group_norm(in.tensor({2, 5, 7, 24}), {.weight = in.f32({24}), .bias = in.f32({24})}, 8, 1e-6f,
                                        Activation::none);
                 }});
    t.push_back({"group_norm_silu", [](Ops& op, Inputs& in) {
                   return op.group_norm(in.tensor({1, 9, 3, 32}, 5), {.weight = in.f32({32}), .bias = in.f32({32})}, 32, 1e-6f,
                                        Activation::silu);
                 }});
    t.push_back({"group_norm_in_strips", [](Ops& op, Inputs& in) {  // pieces that do not divide the pixels, one with none
                   Tensor x = in.tensor({2, 9, 7, 24}, 5);
                   Tensor sums = op.empty({2, 14, 2, 24}, DType::f32);
                   for (int64_t picture = 0; picture < 2; ++picture)
                     for (const auto& [begin, end, piece, last] : {std::tuple{0, 4, 0, 5}, {4, 5, 5, 13}, {5, 9, 13, 14}}) {
                       const Tensor rows = x[picture].batch(begin, end);
                       const Tensor pieces = sums[picture].batch(piece, last);
                       op.group_sums(pieces.view({1, last - piece, 2, 24}), rows.view({1, end - begin, 7, 24}));
                     }
                   op.scale_shift(x, x, op.group_factors(sums, 63, {.weight = in.f32({24}), .bias = in.f32({24})}, 8, 1e-6f),
                                  Activation::silu);
                   return x;
                 }});
    t.push_back({"group_sums", [](Ops& op, Inputs& in) {
                   Tensor sums = op.empty({2, 3, 2, 33}, DType::f32);
                   op.group_sums(sums, in.tensor({2, 5, 7, 33}));
                   return sums;
                 }});
    t.push_back({"group_factors", [](Ops& op, Inputs& in) {
                   Tensor x = in.tensor({2, 9, 5, 24});
                   Tensor sums = op.empty({2, 2, 2, 24}, DType::f32);
                   op.group_sums(sums, x);
                   return op.group_factors(sums, 45, {.weight = in.f32({24}), .bias = in.f32({24})}, 3, 1e-6f);
                 }});
    for (const auto& [out, in_channels, kernel, stride, upsample] : {std::tuple{16, 8, 3, 1, false},
                                                                     {3, 32, 3, 1, false},
                                                                     {24, 16, 1, 1, false},
                                                                     {16, 16, 3, 2, false},
                                                                     {32, 16, 3, 1, true}})
      t.push_back({"conv2d_" + std::to_string(out) + "x" + std::to_string(in_channels) + "_k" + std::to_string(kernel) + "_s" +
                       std::to_string(stride) + (upsample ? "_up" : ""),
                   [=](Ops& op, Inputs& in) {
                     return op.conv2d(in.tensor({1, 6, 10, in_channels}), in.conv(out, in_channels, kernel, upsample),
                                      {.stride = stride, .upsample = upsample});
                   }});
    for (const auto& [begin, end, kernel, upsample] : {std::tuple{0, 3, 3, false},
                                                       {2, 5, 3, false},
                                                       {3, 6, 3, false},
                                                       {5, 6, 3, false},
                                                       {2, 5, 1, false},
                                                       {0, 5, 3, true},
                                                       {3, 8, 3, true},
                                                       {4, 5, 3, true},
                                                       {7, 12, 3, true},
                                                       {0, 12, 3, true}})
      for (const int64_t pictures : {1, 2})
        t.push_back({"conv2d_rows_" + std::to_string(begin) + "_" + std::to_string(end) + "_k" + std::to_string(kernel) +
                         (upsample ? "_up" : "") + "_of_" + std::to_string(pictures),
                     [=](Ops& op, Inputs& in) {
                       Tensor out = in.tensor({pictures, end - begin, upsample ? 14 : 7, 24});
                       op.conv2d_into(out, in.tensor({pictures, 6, 7, 16}), in.conv(24, 16, kernel, upsample),
                                      {.upsample = upsample, .accumulate = true, .rows = {begin, end}});
                       return out;
                     }});
    t.push_back({"conv2d_wide", [](Ops& op, Inputs& in) {  // where oneDNN picks another layout of the weights on AMX
                   return op.conv2d(in.tensor({1, 3, 258, 32}), in.conv(64, 32, 3));
                 }});
    for (const ConvCase& c : kConvCases) t.push_back({c.name(), [=](Ops& op, Inputs& in) { return c.run(op, in); }});
    t.push_back({"conv2d_accumulate", [](Ops& op, Inputs& in) {
                   Tensor out = in.tensor({2, 5, 7, 16});
                   op.conv2d_into(out, in.tensor({2, 5, 7, 32}), in.conv(16, 32, 3), {.accumulate = true});
                   return out;
                 }});
    t.push_back({"add", [](Ops& op, Inputs& in) {
                   Tensor x = in.misaligned(2, 5, 33);
                   op.add(x, in.f32({5, 33}));
                   return x;
                 }});
    t.push_back({"multiply", [](Ops& op, Inputs& in) {
                   Tensor x = in.tensor({2, 5, 33});
                   op.multiply(x, in.misaligned(2, 5, 33));
                   return x;
                 }});
    t.push_back({"add_gated", [](Ops& op, Inputs& in) {
                   Tensor x = in.tensor({2, 5, 33});
                   op.add_gated(x, in.f32({2, 99}).columns(33, 66), in.tensor({2, 5, 33}));
                   return x;
                 }});
    t.push_back({"copy_casts", [](Ops& op, Inputs& in) {
                   Tensor out = op.empty({2, 5, 33});
                   op.copy(out, in.f32({2, 7, 33}).rows(1, 6));
                   return out;
                 }});
    t.push_back({"patchify", [](Ops& op, Inputs& in) { return op.patchify(in.f32({2, 4, 6, 10}), 2); }});
    t.push_back({"unpatchify", [](Ops& op, Inputs& in) { return op.unpatchify(in.tensor({2, 15, 16}), 2, 4, 6, 10); }});
    t.push_back({"to_nhwc", [](Ops& op, Inputs& in) { return op.to_nhwc(in.f32({2, 16, 3, 5}), 0.65f, 0.06f); }});
    t.push_back({"cfg", [](Ops& op, Inputs& in) { return op.cfg(in.f32({4, 3, 4, 5}), {.guidance = 7}); }});
    t.push_back({"cfg_skip", [](Ops& op, Inputs& in) {
                   return op.cfg(in.f32({6, 3, 4, 5}), {.guidance = 7, .skip_scale = 2.8f});
                 }});
    t.push_back({"rescale", [](Ops& op, Inputs& in) {
                   Tensor x = in.f32({2, 16, 33, 35});
                   op.rescale(x, in.f32({2, 16, 33, 35}, 0.25f), 0.7f);
                   return x;
                 }});
    t.push_back({"combine_euler", [](Ops& op, Inputs& in) {
                   Tensor x = in.f32({1, 3, 4, 5});
                   op.combine({.state = x, .v = in.f32({1, 3, 4, 5}), .noise = {}, .coefficients = in.f32({1, 2})});
                   return x;
                 }});
    t.push_back(
        {"combine", [](Ops& op, Inputs& in) {
           Tensor state = in.f32({8, 3, 4, 5});
           op.combine(
               {.state = state, .v = in.f32({2, 3, 4, 5}), .noise = in.f32({2, 3, 4, 5}), .coefficients = in.f32({4, 6})});
           return state;
         }});
    return t;
  }();
  return all;
}

// Squares of a few roundings of the dtype.
double tolerance(DType dtype) {
  switch (dtype) {
    case DType::f32: return 1e-11;
    case DType::f16: return 1e-6;
    default: return 4e-5;
  }
}

// A strip equals the same rows of the whole picture, computed from an input that is cut off beyond the halo.
TEST(Conv2d, OfAStripIsTheRowsOfTheWhole) {
  for (const TestDevice& device : devices_under_test()) {
    RealRun run(*device.device, device.dtype);
    Ops& op = run.op;
    Inputs in(op);
    for (const bool upsample : {false, true}) {
      const int64_t scale = upsample ? 2 : 1, height = 9, width = 5;
      const Tensor x = in.tensor({1, height, width, 16});
      const Conv w = in.conv(8, 16, 3, upsample);
      const std::vector<float> whole = values_of(op, op.conv2d(x, w, {.upsample = upsample}));
      for (int64_t begin = 0; begin < height * scale; begin += 4) {
        const int64_t end = std::min(begin + 4, height * scale);
        const int64_t first = std::max<int64_t>(begin - 1, 0) / scale;
        const int64_t last = std::min(end / scale + 1, height);
        const Tensor some = x.view({height, width, 16}).batch(first, last).view({1, last - first, width, 16});
        const Tensor strip = op.empty({1, end - begin, width * scale, 8});
        op.conv2d_into(strip, some, w, {.upsample = upsample, .rows = {begin - scale * first, end - scale * first}});
        const std::vector<float> rows = values_of(op, strip);
        EXPECT_LE(nmse(rows.data(), whole.data() + begin * width * scale * 8, rows.size()), tolerance(device.dtype))
            << device.name;
      }
    }
  }
}

using OpTest = testing::TestWithParam<std::tuple<TestDevice, Case>>;

TEST_P(OpTest, AgreesWithTheReference) {
  const auto& [device, test] = GetParam();
  ReferenceDevice reference;
  RealRun expected_run(reference, DType::f32), run(*device.device, device.dtype);
  Inputs expected_inputs(expected_run.op), inputs(run.op);
  const std::vector<float> expected = values_of(expected_run.op, test.run(expected_run.op, expected_inputs));
  const std::vector<float> actual = values_of(run.op, test.run(run.op, inputs));
  ASSERT_EQ(actual.size(), expected.size());
  EXPECT_LE(nmse(actual.data(), expected.data(), actual.size()), tolerance(device.dtype) * test.narrow_scale);
}

TEST_P(OpTest, TheDryRunAllocatesTheSameBytes) {
  const auto& [device, test] = GetParam();
  DryRun dry(*device.device, device.dtype);
  Inputs nothing(dry.op);
  const Tensor planned = test.run(dry.op, nothing);
  RealRun run(*device.device, device.dtype);
  Inputs inputs(run.op);
  const Tensor real = test.run(run.op, inputs);
  EXPECT_EQ(dry.arena.peak(), run.arena.peak());
  EXPECT_EQ(dry.arena.used(), run.arena.used());
  EXPECT_EQ(dry.op.work().flops, run.op.work().flops);
  EXPECT_EQ(planned.describe(), real.describe());
}

INSTANTIATE_TEST_SUITE_P(Ops, OpTest, testing::Combine(testing::ValuesIn(devices_under_test()), testing::ValuesIn(cases())),
                         [](const auto& test) { return std::get<0>(test.param).name + "_" + std::get<1>(test.param).name; });

class NotANumber : public testing::TestWithParam<TestDevice> {};

// A kernel that drops NaN would turn a broken checkpoint into a plausible picture.
TEST_P(NotANumber, ComesThrough) {
  RealRun run(*GetParam().device, GetParam().dtype);
  Ops& op = run.op;
  Inputs in(op);
  for (float bad : {NAN, INFINITY}) {
    std::vector<float> values(4 * 4 * 32, 1.0f);
    values[37] = bad;
    std::vector<char> narrow(values.size() * static_cast<size_t>(size_of(op.dtype())));
    from_f32(op.dtype(), values.data(), narrow.data(), static_cast<int64_t>(values.size()));
    const Tensor x = op.upload(narrow.data(), op.dtype(), {1, 4, 4, 32});
    const Tensor rows = x.view({1, 16, 32});
    EXPECT_FALSE(op.all_finite(x));
    EXPECT_FALSE(op.all_finite(op.group_norm(x, {.weight = in.f32({32}), .bias = in.f32({32})}, 8, 1e-6f, Activation::silu)));
    EXPECT_FALSE(op.all_finite(op.layer_norm(rows, {}, 1e-6f)));
    EXPECT_FALSE(op.all_finite(op.linear(rows, in.linear(8, 32))));
    EXPECT_FALSE(op.all_finite(op.attention(rows, rows, rows, {.heads = 2, .scale = 1, .causal = false, .bias = {}})));
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, NotANumber, testing::ValuesIn(devices_under_test()),
                         [](const auto& test) { return test.param.name; });

// Slots that were never written, and noise where there is none, may be anything; what is read comes through.
TEST_P(NotANumber, IsReadByASumWhereItsCoefficientIsNotZero) {
  RealRun run(*GetParam().device, GetParam().dtype);
  Ops& op = run.op;
  const std::vector<float> state = {1, 2, NAN, INFINITY}, v = {3, 4};
  const Tensor sums = op.upload(state.data(), DType::f32, {2, 2, 1, 1});
  const auto combine = [&](const std::vector<float>& coefficients) {
    op.combine({.state = sums,
                .v = op.upload(v.data(), DType::f32, {1, 2, 1, 1}),
                .noise = {},
                .coefficients = op.upload(coefficients.data(), DType::f32, {2, 3})});
  };
  combine({1, 0, 2, 0, 0, 0});
  EXPECT_EQ(values_of(op, sums), (std::vector<float>{7, 10, 0, 0}));
  op.copy(sums, op.upload(state.data(), DType::f32, {2, 2, 1, 1}));
  combine({1, 1, 0, 0, 0, 1});
  EXPECT_FALSE(op.all_finite(sums.batch(0, 1)));
  EXPECT_TRUE(op.all_finite(sums.batch(1, 2)));
}

class HostTensors : public testing::TestWithParam<TestDevice> {};

// A tensor that is offloaded to the host comes back unchanged, though its memory on the device is overwritten meanwhile.
TEST_P(HostTensors, ComeBack) {
  RealRun run(*GetParam().device, GetParam().dtype);
  Ops& op = run.op;
  Inputs in(op);
  const Tensor x = in.tensor({1, 9, 7, 24});
  const Tensor other = in.tensor({1, 9, 7, 24});
  const std::vector<float> expected = values_of(op, x);
  const Tensor waiting = op.empty_on_host({1, 9, 7, 24}, op.dtype());
  EXPECT_EQ(run.host_arena.used(), (waiting.bytes() + 255) / 256 * 256);
  op.to_host(waiting, x);
  op.copy(x, other);
  const Tensor back = op.empty({1, 3, 7, 24});
  op.from_host(back, waiting[0].batch(4, 7).view({1, 3, 7, 24}));
  EXPECT_EQ(values_of(op, back), std::vector<float>(expected.begin() + 4 * 7 * 24, expected.begin() + 7 * 7 * 24));
  EXPECT_EQ(values_of(op, x), values_of(op, other));
}

INSTANTIATE_TEST_SUITE_P(Ops, HostTensors, testing::ValuesIn(devices_under_test()),
                         [](const auto& test) { return test.param.name; });

class Pixels : public testing::TestWithParam<TestDevice> {};

TEST_P(Pixels, BecomeBytesAsTorchMakesThem) {
  RealRun run(*GetParam().device, GetParam().dtype);
  Ops& op = run.op;
  // (0.5·x + 0.5)·255: what is outside is clamped, and 127.5 goes to the even neighbour.
  const std::vector<float> x = {-2, -1, -0.996f, -0.98f, -0.97f, 0, 0.25f, 1, 7, -0.9f, 0.9f, 0.5f};
  const Tensor bytes = op.to_bytes(op.upload(x.data(), DType::f32, {1, 2, 2, 3}));
  ASSERT_EQ(bytes.describe(), "u8[1, 2, 2, 3]");
  std::vector<uint8_t> out(x.size());
  op.download(bytes, out.data());
  EXPECT_EQ(out, (std::vector<uint8_t>{0, 0, 1, 3, 4, 128, 159, 255, 255, 13, 242, 191}));
}

INSTANTIATE_TEST_SUITE_P(Ops, Pixels, testing::ValuesIn(devices_under_test()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace fude::test
