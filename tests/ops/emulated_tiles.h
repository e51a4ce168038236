// The loops of cpu/amx_gemm_impl.h and cpu/amx_attention_impl.h on tiles that are plain arrays, so that they are tested
// on processors without AMX as well; vectors are the processor's.
#pragma once

#include "cpu/amx_attention.h"
#include "cpu/amx_gemm.h"

namespace fude::test {

bool can_emulate_tiles();  // whether the processor has AVX-512 with bf16

void emulated_gemm(const cpu::GemmPiece& piece, void* scratch);
void emulated_attention(const cpu::AttentionHead& attention, int64_t first, void* scratch);

}  // namespace fude::test
