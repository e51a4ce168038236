// The host side of the AMX GEMM: splitting GEMMs into pieces for threads, and packing weights into tiles.
#include "cpu/amx_gemm.h"

#include <algorithm>
#include <cstring>

namespace fude::cpu {

namespace {

int64_t work(const GemmPiece& p) {
  return (p.last_row - p.first_row) * (p.last_column - p.first_column) * in_k_tiles(p.gemm->k);
}

// Halves a piece until it fits the L2 cache and is at most `most` work.
void cut(const GemmPiece& piece, int64_t most, std::vector<GemmPiece>& to) {
  const int64_t rows = piece.last_row - piece.first_row, columns = piece.last_column - piece.first_column;
  const int64_t longer = std::max(rows, columns);
  if (longer == 1 || (longer <= kMostBlocks && work(piece) <= most)) return to.push_back(piece);
  GemmPiece first = piece, second = piece;
  if (columns == longer) first.last_column = second.first_column = piece.first_column + (columns + 1) / 2;
  else first.last_row = second.first_row = piece.first_row + (rows + 1) / 2;
  cut(first, most, to);
  cut(second, most, to);
}

}  // namespace

// At least four pieces for each thread, the last ones in quarters: the processors of a shared machine are not equally fast, and
// all should finish together.
std::vector<GemmPiece> gemm_pieces(const std::vector<GemmCall>& gemms, int64_t threads) {
  std::vector<GemmPiece> whole, pieces;
  for (const GemmCall& p : gemms) whole.push_back({&p, 0, p.items * in_blocks(p.m), 0, in_blocks(p.n)});
  int64_t most = 0;
  for (const GemmPiece& p : whole) most += work(p);
  most /= 4 * threads;
  for (const GemmPiece& p : whole) cut(p, most, pieces);
  std::stable_sort(pieces.begin(), pieces.end(), [](const GemmPiece& a, const GemmPiece& b) { return work(a) > work(b); });
  const std::vector<GemmPiece> last(pieces.end() - std::min<int64_t>(threads, std::ssize(pieces)), pieces.end());
  pieces.resize(pieces.size() - last.size());
  for (const GemmPiece& p : last) cut(p, most / 4, pieces);
  return pieces;
}

void pack_tile_block(const uint16_t* rows, int64_t row, int64_t count, int64_t k, void* packed) {
  uint16_t* to = static_cast<uint16_t*>(packed);
  for (int64_t begin = 0; begin < k; begin += kTileK)
    for (int64_t column = 0; column < kBlock; column += 16, to += kTileBytes / 2) {
      const int64_t present = std::clamp<int64_t>(count - column, 0, 16);
      const int64_t pairs = std::min<int64_t>(16, (k - begin) / 2);
      if (present < 16 || pairs < 16) std::memset(to, 0, kTileBytes);
      const uint16_t* const from = rows + column * row + begin;
      for (int64_t pair = 0; pair < pairs; ++pair)
        for (int64_t i = 0; i < present; ++i) std::memcpy(to + pair * 32 + i * 2, from + i * row + pair * 2, 4);
      if (pairs < 16 && k % 2)
        for (int64_t i = 0; i < present; ++i) to[pairs * 32 + i * 2] = from[i * row + pairs * 2];
    }
}

}  // namespace fude::cpu
