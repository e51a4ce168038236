// Stand-in where the processor is not x86: has_tiles() is false there, so these are never called.
#include "cpu/amx_attention.h"
#include "cpu/amx_gemm.h"
#include "fude/error.h"

namespace fude::cpu {

namespace {
[[noreturn]] void refuse() { throw Error(Code::device, "this processor has no AMX"); }
}  // namespace

void gemm_on_amx(const GemmPiece&, void*) { refuse(); }
void attention_on_amx(const AttentionHead&, int64_t, void*) { refuse(); }

}  // namespace fude::cpu
