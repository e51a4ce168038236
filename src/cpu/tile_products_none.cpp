// Processors that are not x86 have no AMX; has_tiles says so, and nobody comes here.
#include <cstdlib>

#include "cpu/tile_products.h"

namespace fude::cpu {

void multiply_on_amx(const TilePiece&, void*) { std::abort(); }

}  // namespace fude::cpu
