#include "cpu/amx_attention_impl.h"
#include "cpu/amx_gemm_impl.h"
#include "cpu/amx_tiles.h"

namespace fude::cpu {

void multiply_on_amx(const TilePiece& piece, void* scratch) { multiply_tiles<AmxTiles>(piece, scratch); }

void attend_on_amx(const TileAttention& attention, int64_t first, void* scratch) {
  TileAttender<AmxTiles>(attention, first, scratch).attend();
}

}  // namespace fude::cpu
