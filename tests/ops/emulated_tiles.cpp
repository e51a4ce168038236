// The AMX loops, instantiated on emulated tiles. Compiled for AVX-512 with bf16 like the files it includes, so nothing inline
// of other headers is used here either.
#include "emulated_tiles.h"

#include "cpu/amx_attention_impl.h"
#include "cpu/amx_gemm_impl.h"

namespace fude::test {
namespace {

float widened(uint16_t bits) {
  const uint32_t shifted = static_cast<uint32_t>(bits) << 16;
  float value;
  memcpy(&value, &shifted, sizeof value);
  return value;
}

// What AMX does, in f32: 2 × 2 tiles of accumulators, two of rows, two of columns.
struct EmulatedTiles {
  static float sums[2][2][16][16];
  static int64_t rows[2];  // of the upper and the lower tiles

  static void configure(int64_t block_rows) {
    memset(sums, -1, sizeof sums);  // NaN
    rows[0] = block_rows < 16 ? block_rows : 16;
    rows[1] = block_rows > 16 ? block_rows - 16 : 1;
  }
  static void release() { rows[0] = rows[1] = 0; }
  static void written() {}
  static void clear() { memset(sums, 0, sizeof sums); }
  static void load(const float* from) {
    for (int64_t r = 0; r < 32; ++r)
      for (int64_t n = 0; n < 32 && r % 16 < rows[r / 16]; ++n)
        sums[r / 16][n / 16][r % 16][n % 16] = from[r * cpu::kBlock + n];
  }
  static void store(float* to) {
    for (int64_t r = 0; r < 32; ++r)
      for (int64_t n = 0; n < 32 && r % 16 < rows[r / 16]; ++n) to[r * cpu::kBlock + n] = sums[r / 16][n / 16][r % 16][n % 16];
  }
  static void add(const char* upper, const char* lower, int64_t stride, const char* columns) {
    uint16_t a[32], b[2][16][32];
    memcpy(b, columns, sizeof b);
    for (int tile = 0; tile < 2; ++tile)
      for (int64_t r = 0; r < rows[tile]; ++r) {
        memcpy(a, (tile ? lower : upper) + r * stride, sizeof a);
        for (int side = 0; side < 2; ++side)
          for (int pair = 0; pair < 16; ++pair)
            for (int n = 0; n < 16; ++n)
              for (int i = 0; i < 2; ++i)
                sums[tile][side][r][n] += widened(a[2 * pair + i]) * widened(b[side][pair][2 * n + i]);
      }
  }
};
float EmulatedTiles::sums[2][2][16][16];
int64_t EmulatedTiles::rows[2];

}  // namespace

void emulated_gemm(const cpu::GemmPiece& piece, void* scratch) { cpu::run_gemm<EmulatedTiles>(piece, scratch); }

void emulated_attention(const cpu::AttentionHead& attention, int64_t first, void* scratch) {
  cpu::AttentionKernel<EmulatedTiles>(attention, first, scratch).run();
}

}  // namespace fude::test
