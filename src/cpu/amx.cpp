// The AMX kernels, instantiated for the hardware tiles: the only file compiled with AMX flags.
#include "cpu/amx_attention_impl.h"
#include "cpu/amx_gemm_impl.h"
#include "cpu/amx_tiles.h"

namespace fude::cpu {

void gemm_on_amx(const GemmPiece& piece, void* scratch) { run_gemm<AmxTiles>(piece, scratch); }

void attention_on_amx(const AttentionHead& attention, int64_t first, void* scratch) {
  AttentionKernel<AmxTiles>(attention, first, scratch).run();
}

}  // namespace fude::cpu
