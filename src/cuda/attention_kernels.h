// The kernels behind attention(): which calls each one supports, and its launch. None needs a workspace.
#pragma once

#include "cuda/kernels.h"

namespace fude::cuda {

// Heads of 64 on sm_90a's wgmma.
bool attention_sm90_supports(const Card& card, const AttentionArgs& args);
void attention_sm90(const Card& card, CUstream stream, const AttentionArgs& args);

// Heads of 64 on mma.sync; bias and causal as well.
bool attention_mma_supports(const Card& card, const AttentionArgs& args);
void attention_mma(const Card& card, CUstream stream, const AttentionArgs& args);

// Heads of 512 on mma.sync.
bool attention_wide_supports(const Card& card, const AttentionArgs& args);
void attention_wide(const Card& card, CUstream stream, const AttentionArgs& args);

// Everything, in f32 arithmetic.
void attention_simt(CUstream stream, const AttentionArgs& args);

// What all tensor-core kernels need: 16-bit elements, and rows aligned to 16 bytes.
inline bool attention_fits_tensor_cores(const Card& card, const AttentionArgs& args) {
  const bool has_type = args.q.dtype == DType::f16 || (args.q.dtype == DType::bf16 && card.capability >= 80);
  if (!has_type || card.capability < 75 || !(args.scale > 0)) return false;
  for (const Matrix* x : {&args.out, &args.q, &args.k, &args.v}) {
    if (reinterpret_cast<uintptr_t>(x->data) % 16 || x->row_stride % 8 || x->batch_stride % 8) return false;
  }
  return true;
}

}  // namespace fude::cuda
