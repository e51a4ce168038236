// Which tile a product gets: the one that the shape and the card's number of multiprocessors let finish first.
#pragma once

#include <algorithm>

#include "cuda/product.cuh"

namespace fude::cuda {

using WideTile = ProductTile<128, 256, 32, 2, 4, 4>;
using SquareTile = ProductTile<128, 128, 32, 2, 2, 4, 2>;
using SmallTile = ProductTile<64, 64, 64, 2, 2, 3, 2>;
using NarrowTile = ProductTile<128, 32, 64, 4, 1, 3, 2>;

// The time of a product in steps of one sum on a busy multiprocessor; `rate` is how fast one is with this tile, compared to the others.
template <class Tile>
double cost(const Card& card, int64_t rows, int64_t columns, double rate) {
  const int64_t tiles = (rows + Tile::kM - 1) / Tile::kM * ((columns + Tile::kN - 1) / Tile::kN);
  const int64_t turns = (tiles + card.multiprocessors - 1) / card.multiprocessors;
  return static_cast<double>(turns) * Tile::kM * Tile::kN / rate;
}

// Calls f with a value of the tile's type.
template <class F>
void with_tile(const Card& card, int64_t rows, int64_t columns, F&& f) {
  const double wide = cost<WideTile>(card, rows, columns, 1.0), square = cost<SquareTile>(card, rows, columns, 0.95);
  const double small = cost<SmallTile>(card, rows, columns, 0.6), narrow = cost<NarrowTile>(card, rows, columns, 0.5);
  const double best = std::min({wide, square, small, narrow});
  if (best == wide) f(WideTile{});
  else if (best == square) f(SquareTile{});
  else if (best == small) f(SmallTile{});
  else f(NarrowTile{});
}

}  // namespace fude::cuda
