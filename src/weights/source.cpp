// Reading rows: conversion between dtypes, fp8 scales.
#include "weights/source.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <span>

namespace fude {

namespace {

// Converts elements [begin, begin + n) of a part's tensor to `as`.
void read_part(const Source::Part& part, int64_t begin, int64_t n, DType as, std::byte* out) {
  if (part.tensor->dtype == as && part.scale == 1 && !part.nan_is_zero) return part.tensor->read_stored(begin, n, out);
  constexpr int64_t kFew = 4096;  // stays in the L1 cache
  std::array<float, kFew> values;
  for (int64_t i = 0; i < n; i += kFew) {
    const int64_t count = std::min(kFew, n - i);
    part.tensor->read_f32(begin + i, count, values.data());
    for (float& value : std::span(values).first(static_cast<size_t>(count))) {
      if (part.nan_is_zero && std::isnan(value)) value = 0;
      value *= part.scale;
    }
    from_f32(as, values.data(), out + i * size_of(as), count);
  }
}

// As the files have them.
void read_stored_rows(const Source& source, int64_t begin, int64_t end, DType as, std::byte* out) {
  const int64_t width = source.row_elements();
  int64_t first = 0;  // row of the source at which the part begins
  for (const Source::Part& part : source.parts) {
    const int64_t from = std::max(begin, first) - first;
    const int64_t to = std::min(end, first + part.rows) - first;
    first += part.rows;
    if (from >= to) continue;
    const int64_t n = (to - from) * width;
    read_part(part, (part.row_begin + from) * width, n, as, out);
    out += n * size_of(as);
  }
}

}  // namespace

int64_t Source::row_elements() const {
  int64_t n = 1;
  for (size_t d = 1; d < shape.size(); ++d) n *= shape[d];
  return n;
}

void read_rows(const Source& source, int64_t begin, int64_t end, DType as, void* destination) {
  auto* out = static_cast<std::byte*>(destination);
  if (source.patches.empty()) return read_stored_rows(source, begin, end, as, out);
  constexpr int64_t kFew = int64_t{1} << 18;  // elements in f32 at a time
  const int64_t width = source.row_elements();
  const int64_t step = std::max<int64_t>(1, kFew / std::max<int64_t>(1, width));
  std::vector<float> rows(static_cast<size_t>(std::min(step, end - begin) * width));
  for (int64_t from = begin; from < end; from += step) {
    const int64_t to = std::min(end, from + step);
    const int64_t n = (to - from) * width;
    read_stored_rows(source, from, to, DType::f32, reinterpret_cast<std::byte*>(rows.data()));
    for (const auto& patch : source.patches) patch->apply(from, to, rows.data());
    from_f32(as, rows.data(), out, n);
    out += n * size_of(as);
  }
}

std::vector<float> look_up(const Source& table, const std::vector<std::vector<int32_t>>& ids) {
  const int64_t width = table.row_elements();
  std::vector<float> rows;
  std::map<int32_t, size_t> offsets;  // in `rows`
  for (const std::vector<int32_t>& of_one : ids)
    for (const int32_t id : of_one) {
      const size_t offset = rows.size();
      rows.resize(offset + static_cast<size_t>(width));
      if (const auto [found, fresh] = offsets.emplace(id, offset); fresh)
        read_rows(table, id, id + 1, DType::f32, &rows[offset]);
      else std::copy_n(&rows[found->second], width, &rows[offset]);
    }
  return rows;
}

}  // namespace fude
