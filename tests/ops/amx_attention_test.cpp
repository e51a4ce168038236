// Attention of cpu/amx_attention_impl.h on emulated tiles: packing, chunks, edges, causal rows and biases.

#include "cpu/amx_attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <dnnl.hpp>
#include <random>
#include <vector>

#include "core/dtype.h"
#include "emulated_tiles.h"

namespace fude::test {

bool can_emulate_tiles() {
  constexpr int kWanted = static_cast<int>(dnnl::cpu_isa::avx512_core_bf16);
  return (static_cast<int>(dnnl::get_effective_cpu_isa()) & kWanted) == kWanted;
}

namespace {

struct AttentionCase {
  int64_t queries, keys, width;
  bool causal = false, bias = false;
  float spread = 1;       // of queries: scores grow with it
  bool relative = false;  // rows of the bias overlap: each begins one element before the last, as T5's do
};

// A head among others: rows of q, k, v and out are columns of wider ones, whose other columns are NaN and have to stay as they
// are.
class Head {
 public:
  explicit Head(const AttentionCase& c) : c_(c) {
    std::normal_distribution<float> normal;
    const auto fill = [&](std::vector<uint16_t>& to, int64_t rows, float spread) {
      to.assign(static_cast<size_t>(rows * row()), kNaN);
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t j = 0; j < c.width; ++j)
          to[static_cast<size_t>(r * row() + kMargin + j)] = to_bf16(spread * normal(random_));
    };
    fill(q_, c.queries, c.spread);
    fill(k_, c.keys, 1);
    fill(v_, c.keys, 1);
    bias_.assign(static_cast<size_t>(c.queries * (c.keys + 3)), NAN);
    for (int64_t i = 0; i < c.queries; ++i)
      for (int64_t j = 0; j < c.keys; ++j) bias_[static_cast<size_t>(bias_begin() + i * bias_row() + j)] = normal(random_);
  }

  // [queries, row]
  std::vector<uint16_t> attend() const {
    const int64_t blocks = cpu::in_blocks(c_.keys);
    const int64_t block_bytes = cpu::packed_block_bytes(c_.width);
    std::vector<char> keys(static_cast<size_t>(blocks * block_bytes), 0x7f), values = keys;
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t first = block * cpu::kBlock;
      const int64_t count = std::min(cpu::kBlock, c_.keys - first);
      cpu::pack_keys(head(k_) + first * row() * 2, row() * 2, count, c_.width, keys.data() + block * block_bytes);
      cpu::pack_values(head(v_) + first * row() * 2, row() * 2, count, c_.width, values.data() + block * block_bytes);
    }
    std::vector<uint16_t> out(q_.size(), kNaN);
    const cpu::AttentionHead attention = {.queries = c_.queries,
                                          .keys = c_.keys,
                                          .width = c_.width,
                                          .q = head(q_),
                                          .out = reinterpret_cast<char*>(out.data() + kMargin),
                                          .q_row = row() * 2,
                                          .out_row = row() * 2,
                                          .keys_packed = keys.data(),
                                          .values_packed = values.data(),
                                          .scale = scale(),
                                          .causal = c_.causal,
                                          .bias = c_.bias ? bias_.data() + bias_begin() : nullptr,
                                          .bias_row = bias_row()};
    std::vector<float> scratch(static_cast<size_t>(cpu::attention_scratch_bytes(c_.width) / 4), NAN);
    for (int64_t first = 0; first < c_.queries; first += cpu::kBlock) emulated_attention(attention, first, scratch.data());
    return out;
  }

  std::vector<double> expected(int64_t query) const {
    const int64_t seen = c_.causal ? std::min(c_.keys, query + 1) : c_.keys;
    std::vector<double> scores(static_cast<size_t>(seen)), result(static_cast<size_t>(c_.width));
    for (int64_t i = 0; i < seen; ++i) {
      double& score = scores[static_cast<size_t>(i)];
      for (int64_t j = 0; j < c_.width; ++j) score += static_cast<double>(at(q_, query, j)) * at(k_, i, j) * scale();
      if (c_.bias) score += bias_[static_cast<size_t>(bias_begin() + query * bias_row() + i)];
    }
    const double largest = *std::max_element(scores.begin(), scores.end());
    double total = 0;
    for (double& score : scores) total += score = std::exp(score - largest);
    for (int64_t i = 0; i < seen; ++i)
      for (int64_t j = 0; j < c_.width; ++j)
        result[static_cast<size_t>(j)] += scores[static_cast<size_t>(i)] / total * at(v_, i, j);
    return result;
  }

  bool is_margin(size_t i) const {
    const int64_t column = static_cast<int64_t>(i) % row();
    return column < kMargin || column >= kMargin + c_.width;
  }
  float at(const std::vector<uint16_t>& rows, int64_t r, int64_t j) const {
    return from_bf16(rows[static_cast<size_t>(r * row() + kMargin + j)]);
  }
  std::vector<uint16_t>& keys() { return k_; }

  static constexpr uint16_t kNaN = 0x7fc0;

 private:
  static constexpr int64_t kMargin = 6;
  int64_t row() const { return c_.width + 2 * kMargin; }
  int64_t bias_row() const { return c_.relative ? -1 : c_.keys + 3; }
  int64_t bias_begin() const { return c_.relative ? c_.queries - 1 : 0; }
  float scale() const { return 1 / std::sqrt(static_cast<float>(c_.width)); }
  const char* head(const std::vector<uint16_t>& rows) const { return reinterpret_cast<const char*>(rows.data() + kMargin); }

  AttentionCase c_;
  std::mt19937 random_{11};
  std::vector<uint16_t> q_, k_, v_;
  std::vector<float> bias_;
};

const AttentionCase kAttentionCases[] = {
    {32, 128, 64},
    {1, 1, 32},
    {5, 31, 32},
    {33, 33, 64},
    {70, 129, 64},
    {40, 300, 96, false, true},
    {77, 77, 64, true},
    {200, 260, 64, true},
    {150, 130, 32, true, true},
    {64, 700, 64, false, false, 12},  // the largest score is far above the others
    {17, 520, 512},
    {60, 256, 64, false, true, 1, true},
};

TEST(AmxAttention, IsAttention) {
  if (!can_emulate_tiles()) GTEST_SKIP() << "the processor has no AVX-512 with bf16";
  for (const AttentionCase& c : kAttentionCases) {
    const Head head(c);
    const std::vector<uint16_t> out = head.attend();
    for (size_t i = 0; i < out.size(); ++i)
      ASSERT_TRUE(!head.is_margin(i) || out[i] == Head::kNaN) << c.queries << "x" << c.keys << "x" << c.width << " at " << i;
    for (int64_t query = 0; query < c.queries; ++query) {
      const std::vector<double> expected = head.expected(query);
      for (int64_t j = 0; j < c.width; ++j) {
        const double value = expected[static_cast<size_t>(j)];
        ASSERT_NEAR(head.at(out, query, j), value, 0.006 * (1 + std::abs(value)))
            << c.queries << "x" << c.keys << "x" << c.width << " at " << query << ", " << j;
      }
    }
  }
}

TEST(AmxAttention, LetsNaNsThrough) {
  if (!can_emulate_tiles()) GTEST_SKIP() << "the processor has no AVX-512 with bf16";
  Head head({40, 300, 64});
  std::fill_n(head.keys().begin() + 250 * (64 + 12), 64 + 12, Head::kNaN);
  const std::vector<uint16_t> out = head.attend();
  EXPECT_TRUE(std::isnan(head.at(out, 0, 0)));
  EXPECT_TRUE(std::isnan(head.at(out, 39, 63)));
}

}  // namespace
}  // namespace fude::test
