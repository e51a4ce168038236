// The GEMM of cpu/amx_gemm_impl.h on emulated tiles: packing, blocks, edges and the epilogue.

#include "cpu/amx_gemm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <tuple>
#include <vector>

#include "core/dtype.h"
#include "emulated_tiles.h"

namespace fude::test {
namespace {

using cpu::Curve;

struct TileCase {
  int64_t items, m, n, k;
  Curve curve = Curve::none;
  bool bias = true, accumulate = false, bf16 = true;
  int64_t threads = 3;
};

float curve(Curve c, float x) {
  switch (c) {
    case Curve::none: return x;
    case Curve::silu: return x / (1 + std::exp(-x));
    case Curve::gelu_tanh: return 0.5f * x * (1 + std::tanh(0.7978845608f * (x + 0.044715f * x * x * x)));
    case Curve::gelu_erf: return 0.5f * x * (1 + std::erf(x * 0.70710678f));
    case Curve::quick_gelu: return x / (1 + std::exp(-1.702f * x));
  }
  return NAN;
}

// x and out are columns of wider tensors, whose other columns are NaN and have to stay as they are.
class Problem {
 public:
  explicit Problem(const TileCase& c)
      : c_(c),
        x_(static_cast<size_t>(c.items * x_item()), 0x7fc0),
        w_(static_cast<size_t>(c.n * c.k)),
        bias_(static_cast<size_t>(c.n)) {
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    for (int64_t i = 0; i < c.items; ++i)
      for (int64_t r = 0; r < c.m; ++r)
        for (int64_t j = 0; j < c.k; ++j)
          x_[static_cast<size_t>(i * x_item() + r * x_row() + kMargin + j)] = to_bf16(normal(random));
    for (uint16_t& v : w_) v = to_bf16(normal(random) / std::sqrt(static_cast<float>(c.k)));
    for (float& v : bias_) v = normal(random);
    old_.assign(static_cast<size_t>(c.items * c.m * c.n), 0);
    for (float& v : old_) v = from_bf16(to_bf16(normal(random)));
    packed_.resize(static_cast<size_t>(cpu::packed_tile_bytes(c.k, c.n)), 0x7f);
    for (int64_t block = 0; block < cpu::in_blocks(c.n); ++block)
      cpu::pack_tile_block(w_.data() + block * 32 * c.k, c.k, std::min<int64_t>(32, c.n - block * 32), c.k,
                           packed_.data() + block * cpu::packed_tile_bytes(c.k, 1));
  }

  // [items, m + 1, n + 2·margin], flat.
  std::vector<float> multiply(int64_t threads) const {
    const int64_t row = c_.n + 2 * kMargin, item = (c_.m + 1) * row, element = c_.bf16 ? 2 : 4;
    std::vector<float> out(static_cast<size_t>(c_.items * item), kUntouched);
    for (int64_t i = 0; i < c_.items; ++i)
      for (int64_t r = 0; r < c_.m; ++r)
        std::copy_n(old_.begin() + (i * c_.m + r) * c_.n, c_.n, out.begin() + i * item + r * row + kMargin);
    std::vector<char> stored(out.size() * static_cast<size_t>(element));
    from_f32(c_.bf16 ? DType::bf16 : DType::f32, out.data(), stored.data(), std::ssize(out));
    const std::vector<cpu::GemmCall> gemms{{.items = c_.items,
                                            .m = c_.m,
                                            .n = c_.n,
                                            .k = c_.k,
                                            .x = reinterpret_cast<const char*>(x_.data() + kMargin),
                                            .x_item = x_item() * 2,
                                            .x_row = x_row() * 2,
                                            .out = stored.data() + kMargin * element,
                                            .out_item = item * element,
                                            .out_row = row * element,
                                            .out_bf16 = c_.bf16,
                                            .weight = packed_.data(),
                                            .bias = c_.bias ? bias_.data() : nullptr,
                                            .curve = c_.curve,
                                            .accumulate = c_.accumulate}};
    std::vector<float> scratch(static_cast<size_t>(cpu::gemm_scratch_bytes(c_.k) / 4), NAN);
    for (const cpu::GemmPiece& piece : cpu::gemm_pieces(gemms, threads)) emulated_gemm(piece, scratch.data());
    to_f32(c_.bf16 ? DType::bf16 : DType::f32, stored.data(), out.data(), std::ssize(out));
    return out;
  }

  std::vector<float> expected() const {
    const int64_t row = c_.n + 2 * kMargin, item = (c_.m + 1) * row;
    std::vector<float> out(static_cast<size_t>(c_.items * item), kUntouched);
    for (int64_t i = 0; i < c_.items; ++i)
      for (int64_t r = 0; r < c_.m; ++r)
        for (int64_t o = 0; o < c_.n; ++o) {
          double sum = c_.bias ? bias_[static_cast<size_t>(o)] : 0;
          for (int64_t j = 0; j < c_.k; ++j)
            sum += static_cast<double>(from_bf16(x_[static_cast<size_t>(i * x_item() + r * x_row() + kMargin + j)])) *
                   from_bf16(w_[static_cast<size_t>(o * c_.k + j)]);
          float& value = out[static_cast<size_t>(i * item + r * row + kMargin + o)];
          value = curve(c_.curve, static_cast<float>(sum));
          if (c_.accumulate) value += old_[static_cast<size_t>((i * c_.m + r) * c_.n + o)];
        }
    return out;
  }

 private:
  static constexpr int64_t kMargin = 5;
  static constexpr float kUntouched = 123;
  int64_t x_row() const { return c_.k + 2 * kMargin; }
  int64_t x_item() const { return (c_.m + 1) * x_row(); }

  TileCase c_;
  std::vector<uint16_t> x_, w_;
  std::vector<float> bias_, old_;
  std::vector<char> packed_;
};

const TileCase kTileCases[] = {
    {1, 32, 32, 32},
    {1, 1, 1, 1},
    {1, 16, 33, 31},
    {1, 17, 31, 33},
    {2, 13, 48, 64},
    {2, 48, 96, 160, Curve::silu},
    {3, 31, 65, 95, Curve::gelu_tanh, false},
    {2, 77, 130, 129, Curve::gelu_erf, true, true},
    {1, 100, 160, 100, Curve::quick_gelu, true, true, false},
    {5, 2, 15, 290, Curve::none, false, false, false, 7},
    {2, 3, 17, 71, Curve::none, true, false, true, 16},
    {1, 333, 40, 72, Curve::none, true, true, true, 16},
    {1, 49, 70, 1536, Curve::gelu_tanh},
    {2, 45, 450, 1570, Curve::silu, true, true, false, 1},
    {1, 17, 33, 4705, Curve::none, false},
};

TEST(AmxGemm, IsAProduct) {
  if (!can_emulate_tiles()) GTEST_SKIP() << "the processor has no AVX-512 with bf16";
  for (const TileCase& c : kTileCases) {
    const Problem problem(c);
    const std::vector<float> expected = problem.expected();
    const std::vector<float> out = problem.multiply(c.threads);
    for (size_t i = 0; i < out.size(); ++i)
      ASSERT_NEAR(out[i], expected[i], (c.bf16 ? 0.01f : 1e-5f) * (1 + std::abs(expected[i])))
          << c.items << "x" << c.m << "x" << c.n << "x" << c.k << " at " << i;
  }
}

TEST(AmxGemm, DoesNotDependOnTheNumberOfThreads) {
  if (!can_emulate_tiles()) GTEST_SKIP() << "the processor has no AVX-512 with bf16";
  const Problem problem({.items = 2, .m = 75, .n = 330, .k = 3300, .bf16 = false});
  const std::vector<float> alone = problem.multiply(1);
  for (const int64_t threads : {2, 5, 16}) EXPECT_EQ(problem.multiply(threads), alone) << threads;
}

// GEMMs that are issued together are cut into pieces that hold each of their blocks once, and never more than fits.
TEST(AmxGemm, IsCutIntoPieces) {
  const auto gemm = [](int64_t items, int64_t m, int64_t n, int64_t k) {
    cpu::GemmCall p = {};
    p.items = items;
    p.m = m;
    p.n = n;
    p.k = k;
    return p;
  };
  const std::vector<cpu::GemmCall> together = {gemm(2, 77, 1536, 1536), gemm(1, 1178, 1536, 1536), gemm(1, 1, 1, 64)};
  for (const int64_t threads : {1, 3, 4, 16, 200}) {
    const std::vector<cpu::GemmPiece> pieces = cpu::gemm_pieces(together, threads);
    std::map<std::tuple<const cpu::GemmCall*, int64_t, int64_t>, int> times;
    int64_t largest = 0;
    for (const cpu::GemmPiece& p : pieces) {
      const int64_t rows = p.last_row - p.first_row, columns = p.last_column - p.first_column;
      EXPECT_LE(std::max(rows, columns), cpu::kMostBlocks);
      largest = std::max(largest, rows * columns);
      for (int64_t r = p.first_row; r < p.last_row; ++r)
        for (int64_t c = p.first_column; c < p.last_column; ++c) ++times[{p.gemm, r, c}];
    }
    EXPECT_EQ(times.size(), 6 * 48 + 37 * 48 + 1);
    for (const auto& [block, count] : times) EXPECT_EQ(count, 1);
    const int64_t share = std::max<int64_t>(1, (6 + 37) * 48 / threads);
    EXPECT_LE(largest, std::max<int64_t>(1, share / 4));
    EXPECT_GE(std::ssize(pieces), std::min<int64_t>(4 * threads, std::ssize(times)));
  }
}

}  // namespace
}  // namespace fude::test
