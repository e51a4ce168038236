// How the elements of a matrix of weights are stored, packed for a device or in a file. What a run computes with is another
// question: its dtype (core/ops.h).
#pragma once

#include <cstdint>
#include <string_view>

#include "core/dtype.h"

namespace fude {

enum class WeightFormat : uint8_t { f32, f16, bf16 };

struct WeightFormatRow {
  WeightFormat format;
  std::string_view name;
  DType element;                // of a weight, before any scale
  int64_t block, block_bytes;   // weights of a row that lie together, and what they take with a scale of their own
  int64_t scale_bytes_per_row;  // of scales that lie behind the whole matrix
};

inline constexpr WeightFormatRow kWeightFormats[] = {
    {WeightFormat::f32, "f32", DType::f32, 1, 4, 0},
    {WeightFormat::f16, "f16", DType::f16, 1, 2, 0},
    {WeightFormat::bf16, "bf16", DType::bf16, 1, 2, 0},
};

constexpr const WeightFormatRow& row_of(WeightFormat format) { return kWeightFormats[static_cast<size_t>(format)]; }

constexpr std::string_view name_of(WeightFormat format) { return row_of(format).name; }
constexpr DType element_of(WeightFormat format) { return row_of(format).element; }
// Of a whole matrix as such a format stores it in rows; a device that orders it otherwise may need more.
constexpr int64_t bytes_of(WeightFormat format, int64_t rows, int64_t columns) {
  const WeightFormatRow& row = row_of(format);
  return rows * (columns / row.block * row.block_bytes + row.scale_bytes_per_row);
}

// Elements of a float type and nothing else.
constexpr WeightFormat dense_format(DType element) {
  for (const WeightFormatRow& row : kWeightFormats)
    if (row.element == element && row.block == 1 && row.scale_bytes_per_row == 0) return row.format;
  throw "no float type";  // not in a constant expression, and nobody asks for another
}

}  // namespace fude
