#include "cpu/amx_tiles.h"
#include "cpu/tile_products_impl.h"

namespace fude::cpu {

void multiply_on_amx(const TilePiece& piece, void* scratch) {
  TileMultiplier<AmxTiles>(*piece.product, scratch).multiply(piece);
}

}  // namespace fude::cpu
