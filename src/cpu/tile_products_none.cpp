// Processors that are not x86 have no AMX; has_tiles says so, and nobody comes here.
#include "cpu/tile_products.h"
#include "fude/error.h"

namespace fude::cpu {

void multiply_on_amx(const TilePiece&, void*) { throw Error(Code::device, "this processor has no AMX"); }

}  // namespace fude::cpu
