// Attention in bf16 on AMX: the keys and values of each head are packed once, then blocks of queries run in parallel.
#include "cpu/amx_attention.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "core/thread_team.h"
#include "cpu/cpu_device.h"

namespace fude {

namespace cpu {

void pack_keys(const char* rows, int64_t row, int64_t count, int64_t width, void* packed) {
  pack_tile_block(reinterpret_cast<const uint16_t*>(rows), row / 2, count, width, packed);
}

// Pairs of rows side by side, element by element.
void pack_values(const char* rows, int64_t row, int64_t count, int64_t width, void* packed) {
  uint16_t* to = static_cast<uint16_t*>(packed);
  for (int64_t column = 0; column < width; column += 16)
    for (int64_t pair = 0; pair < 16; ++pair, to += 32) {
      uint16_t both[2][16] = {};
      for (int64_t i = 0; i < 2; ++i)
        if (2 * pair + i < count) std::memcpy(both[i], rows + (2 * pair + i) * row + column * 2, sizeof both[i]);
      for (int64_t n = 0; n < 16; ++n) {
        to[2 * n] = both[0][n];
        to[2 * n + 1] = both[1][n];
      }
    }
}

}  // namespace cpu

// The workspace: packed keys of every head, packed values of every head, then what each thread needs.
int64_t CpuDevice::amx_workspace(const AttentionCall& call) const {
  const int64_t packed_bytes = cpu::in_blocks(call.k.dim(1)) * cpu::packed_block_bytes(call.head_dim);
  return 2 * call.q.dim(0) * call.options.heads * packed_bytes + team_->size() * cpu::attention_scratch_bytes(call.head_dim);
}

void CpuDevice::attend_on_amx(const AttentionCall& call, void* workspace) const {
  assert(call.k.dtype == DType::bf16 && call.v.dtype == DType::bf16 && call.out.dtype == DType::bf16);
  const int64_t queries = call.q.dim(1);
  const int64_t keys = call.k.dim(1);
  const int64_t width = call.head_dim;
  const int64_t heads = call.options.heads;
  const int64_t all_heads = call.q.dim(0) * heads;
  const int64_t key_blocks = cpu::in_blocks(keys);
  const int64_t packed_bytes = key_blocks * cpu::packed_block_bytes(width);
  const auto head = [&](const Tensor& t, int64_t h) {
    return t.as<char>() + (h / heads * t.stride[0] + h % heads * width) * 2;
  };
  char* const packed_keys = static_cast<char*>(workspace);
  char* const packed_values = packed_keys + all_heads * packed_bytes;
  char* const scratch = packed_values + all_heads * packed_bytes;

  team_->run(all_heads, [&](int64_t h, int) {
    const int64_t key_row = call.k.stride[1] * 2, value_row = call.v.stride[1] * 2;
    for (int64_t block = 0; block < key_blocks; ++block) {
      const int64_t first = block * cpu::kBlock;
      const int64_t count = std::min(cpu::kBlock, keys - first);
      const int64_t offset = h * packed_bytes + block * cpu::packed_block_bytes(width);
      cpu::pack_keys(head(call.k, h) + first * key_row, key_row, count, width, packed_keys + offset);
      cpu::pack_values(head(call.v, h) + first * value_row, value_row, count, width, packed_values + offset);
    }
  });

  const int64_t blocks = cpu::in_blocks(queries);
  const Tensor& bias = call.options.bias;
  team_->run(all_heads * blocks, [&](int64_t task, int thread) {
    const int64_t h = task / blocks;
    const cpu::AttentionHead attention = {.queries = queries,
                                          .keys = keys,
                                          .width = width,
                                          .q = head(call.q, h),
                                          .out = head(call.out, h),
                                          .q_row = call.q.stride[1] * 2,
                                          .out_row = call.out.stride[1] * 2,
                                          .keys_packed = packed_keys + h * packed_bytes,
                                          .values_packed = packed_values + h * packed_bytes,
                                          .scale = call.options.scale,
                                          .causal = call.options.causal,
                                          .bias = bias ? bias.as<float>() + h % heads * bias.stride[0] : nullptr,
                                          .bias_row = bias ? bias.stride[1] : 0};
    cpu::attention_on_amx(attention, task % blocks * cpu::kBlock, scratch + thread * cpu::attention_scratch_bytes(width));
  });
}

}  // namespace fude
