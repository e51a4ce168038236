// The launch of a grouped GEMM, in the tile shape with which the GPU is predicted to finish first.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cuda/ceil_div.h"
#include "cuda/gemm_params.h"
#include "cuda/launch.h"

namespace fude::cuda {

struct GemmSize {
  int rows, columns, k;
};

// Occupancy: blocks that one multiprocessor holds at once.
template <class Tile>
int occupancy(const Card& card) {
  constexpr int kReserved = 1024;  // shared memory that CUDA adds to each block's own
  return std::min(Tile::kBlocks, (card.shared_bytes + kReserved) / (Tile::shared_bytes(card.capability) + kReserved));
}

// Predicted time of a grouped GEMM, in multiply-adds of one multiprocessor at full speed. `rate` is the share of that speed
// that a tile shape reaches at full occupancy, `alone` with one block on a multiprocessor. Waves are counted, so that a last
// one that is not full costs what it takes.
template <class Tile>
double cost(const Card& card, const GemmSize* sizes, int count, double rate, double alone) {
  int64_t tiles = 0;
  double k = 0;
  for (int i = 0; i < count; ++i) {
    const int64_t own = int64_t{ceil_div(sizes[i].rows, Tile::kM)} * ceil_div(sizes[i].columns, Tile::kN);
    tiles += own;
    k += static_cast<double>(own) * sizes[i].k;
  }
  const int resident = occupancy<Tile>(card);
  const int64_t waves = ceil_div(tiles, card.multiprocessors), rest = waves % resident;
  const double rest_rate = rest == 1 ? alone : rate;
  return Tile::kM * Tile::kN * k / static_cast<double>(tiles) *
         (static_cast<double>(waves - rest) / rate + static_cast<double>(rest) / rest_rate);
}

// Calls f with a value of the tile's type. `heads`: each warp must hold whole heads of 64 columns.
template <class F>
void with_tile(const Card& card, const GemmSize* sizes, int count, bool heads, F&& f) {
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

template <class T, class Tile, class Left>
void gemm(const Card& card, CUstream stream, const Problem<T, Left>* list, int count) {
  GemmKernel<T, Tile, Left> problems{};
  int blocks = 0;
  for (int i = 0; i < count; ++i) {
    const Epilogue& out = list[i].out;
    blocks += ceil_div(out.rows, Tile::kM) * ceil_div(out.columns, Tile::kN) * list[i].splits;
    problems.list[i] = list[i];
    problems.end[i] = blocks;
  }
  launch(stream, {blocks}, problems, "starting a matrix product", Tile::shared_bytes(card.capability));
}

}  // namespace fude::cuda
