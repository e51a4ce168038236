// Processors that are not x86 have no AMX; has_tiles says so, and nobody comes here.
#include "cpu/amx_attention.h"
#include "cpu/amx_gemm.h"
#include "fude/error.h"

namespace fude::cpu {

namespace {
[[noreturn]] void refuse() { throw Error(Code::device, "this processor has no AMX"); }
}  // namespace

void multiply_on_amx(const TilePiece&, void*) { refuse(); }
void attend_on_amx(const TileAttention&, int64_t, void*) { refuse(); }

}  // namespace fude::cpu
