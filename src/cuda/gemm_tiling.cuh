// Which tile products get: the one with which the card finishes them first.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cuda/gemm.cuh"

namespace fude::cuda {

using WideTile = GemmTile<128, 256, 32, 2, 4, 4>;
using SquareTile = GemmTile<128, 128, 32, 2, 2, 4, 2>;
using FlatTile = GemmTile<64, 128, 64, 2, 2, 4, 2>;
using SmallTile = GemmTile<64, 64, 64, 2, 2, 6, 2>;
using NarrowTile = GemmTile<128, 16, 64, 4, 1, 4, 2>;

struct ProductSize {
  int rows, columns, k;
};

// Blocks that one multiprocessor holds at once.
template <class Tile>
int blocks_at_once(const Card& card) {
  constexpr int kReserved = 1024;  // shared memory that every block costs besides its own
  return std::min(Tile::kBlocks, (card.shared_bytes + kReserved) / (Tile::shared_bytes(card.capability) + kReserved));
}

// Time of products side by side, in sums of one multiprocessor at full speed. `rate` is the tile's part of that speed if as
// many blocks share a multiprocessor as it holds; `alone` if one has it for itself.
template <class Tile>
double cost(const Card& card, const ProductSize* sizes, int count, double rate, double alone) {
  int64_t tiles = 0;
  double k = 0;
  for (int i = 0; i < count; ++i) {
    const int64_t own = int64_t{ceil_div(sizes[i].rows, Tile::kM)} * ceil_div(sizes[i].columns, Tile::kN);
    tiles += own;
    k += static_cast<double>(own) * sizes[i].k;
  }
  const int at_once = blocks_at_once<Tile>(card);
  const int64_t turns = (tiles + card.multiprocessors - 1) / card.multiprocessors, rest = turns % at_once;
  const double rest_rate = rest == 1 ? alone : rate;
  return Tile::kM * Tile::kN * k / static_cast<double>(tiles) *
         (static_cast<double>(turns - rest) / rate + static_cast<double>(rest) / rest_rate);
}

// Calls f with a value of the tile's type. `heads`: each warp must hold whole heads of 64 columns.
template <class F>
void with_tile(const Card& card, const ProductSize* sizes, int count, bool heads, F&& f) {
  const double wide = cost<WideTile>(card, sizes, count, 1.0, 1.0);
  const double square = cost<SquareTile>(card, sizes, count, 0.95, 0.75);
  const double flat = cost<FlatTile>(card, sizes, count, 0.75, 0.55);
  const double small = cost<SmallTile>(card, sizes, count, 0.6, 0.4);
  const double narrow = cost<NarrowTile>(card, sizes, count, 0.3, 0.3);
  const double best = heads ? std::min({wide, square, flat}) : std::min({wide, square, flat, small, narrow});
  if (best == wide) f(WideTile{});
  else if (best == square) f(SquareTile{});
  else if (best == flat) f(FlatTile{});
  else if (best == small) f(SmallTile{});
  else f(NarrowTile{});
}

}  // namespace fude::cuda
