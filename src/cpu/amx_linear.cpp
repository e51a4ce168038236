// Linears in bf16 on AMX: turns calls into GEMMs (amx_gemm.h), and packs weights.

#include <algorithm>
#include <cassert>
#include <vector>

#include "core/thread_team.h"
#include "cpu/amx_gemm.h"
#include "cpu/cpu_device.h"

namespace fude {

namespace {

cpu::GemmCall gemm_call(const LinearCall& call) {
  const Tensor &x = call.x, &out = call.out;
  assert(x.dtype == DType::bf16 && (out.dtype == DType::bf16 || out.dtype == DType::f32));
  const bool batched = x.rank == 3;
  const size_t row = batched ? 1 : 0;
  const WeightShape& w = call.w.weight.shape;
  return {.items = batched ? x.dim(0) : 1,
          .m = x.dim(-2),
          .n = w.out,
          .k = w.in,
          .x = x.as<char>(),
          .x_item = batched ? x.stride[0] * size_of(x.dtype) : 0,
          .x_row = x.stride[row] * size_of(x.dtype),
          .out = out.as<char>(),
          .out_item = batched ? out.stride[0] * size_of(out.dtype) : 0,
          .out_row = out.stride[row] * size_of(out.dtype),
          .out_bf16 = out.dtype == DType::bf16,
          .weight = static_cast<const char*>(call.w.weight.data),
          .bias = call.w.bias.as<float>(),
          .curve = static_cast<cpu::Curve>(call.options.activation),
          .accumulate = call.options.accumulate};
}

}  // namespace

int64_t CpuDevice::amx_workspace(const LinearCall& call) const {
  return team_->size() * cpu::gemm_scratch_bytes(call.w.weight.shape.in);
}

void CpuDevice::multiply_on_amx(const std::vector<LinearCall>& calls, void* workspace) const {
  std::vector<cpu::GemmCall> gemms;
  int64_t scratch_bytes = 0;
  for (const LinearCall& call : calls) {
    gemms.push_back(gemm_call(call));
    scratch_bytes = std::max(scratch_bytes, cpu::gemm_scratch_bytes(gemms.back().k));
  }
  const std::vector<cpu::GemmPiece> pieces = cpu::gemm_pieces(gemms, team_->size());
  team_->run(std::ssize(pieces), [&](int64_t i, int thread) {
    cpu::gemm_on_amx(pieces[static_cast<size_t>(i)], static_cast<char*>(workspace) + thread * scratch_bytes);
  });
}

Weight CpuDevice::pack_for_amx(const WeightShape& shape, const ReadRows& read, void* destination) const {
  team_->run_ranges(cpu::in_blocks(shape.out), [&](int64_t begin, int64_t end) {
    std::vector<uint16_t> rows(static_cast<size_t>(cpu::kBlock * shape.in));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i * cpu::kBlock;
      const int64_t last = std::min(first + cpu::kBlock, shape.out);
      char* const packed = static_cast<char*>(destination) + i * cpu::packed_tile_bytes(shape.in, 1);
      read(first, last, WeightFormat::bf16, rows.data());
      cpu::pack_tile_block(rows.data(), shape.in, last - first, shape.in, packed);
    }
  });
  return {destination, WeightFormat::bf16, shape};
}

}  // namespace fude
