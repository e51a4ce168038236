#include "weights/source.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <span>

namespace fude {

namespace {

size_t file_offset(const MappedFile& file, std::span<const std::byte> bytes) {
  return static_cast<size_t>(bytes.data() - file.bytes().data());
}

// n elements of a part, as they are stored -> `as`.
void convert(const Source::Part& part, const std::byte* stored, int64_t n, DType as, std::byte* out) {
  const DType dtype = *part.tensor->dtype;
  if (dtype == as && part.scale == 1 && !part.nan_is_zero) {
    std::memcpy(out, stored, static_cast<size_t>(n * size_of(as)));
    return;
  }
  constexpr int64_t kFew = 4096;  // in f32 on the way: they stay in the first-level cache
  std::array<float, kFew> values;
  for (int64_t i = 0; i < n; i += kFew) {
    const int64_t count = std::min(kFew, n - i);
    to_f32(dtype, stored + i * size_of(dtype), values.data(), count);
    for (float& value : std::span(values).first(static_cast<size_t>(count))) {
      if (part.nan_is_zero && std::isnan(value)) value = 0;
      value *= part.scale;
    }
    from_f32(as, values.data(), out + i * size_of(as), count);
  }
}

}  // namespace

int64_t Source::row_elements() const {
  int64_t n = 1;
  for (size_t d = 1; d < shape.size(); ++d) n *= shape[d];
  return n;
}

std::span<const std::byte> bytes_of(const Source& source, const Source::Part& part) {
  const auto row_bytes = static_cast<size_t>(source.row_elements() * size_of(*part.tensor->dtype));
  return part.tensor->bytes.subspan(static_cast<size_t>(part.row_begin) * row_bytes,
                                    static_cast<size_t>(part.rows) * row_bytes);
}

void read_rows(const Source& source, int64_t begin, int64_t end, DType as, void* destination) {
  const int64_t width = source.row_elements();
  auto* out = static_cast<std::byte*>(destination);
  int64_t first = 0;  // row of the source at which the part begins
  for (const Source::Part& part : source.parts) {
    const int64_t from = std::max(begin, first) - first, to = std::min(end, first + part.rows) - first;
    first += part.rows;
    if (from >= to) continue;
    if (part.tensor->file) part.tensor->file->check_unchanged();
    const int64_t n = (to - from) * width;
    convert(part, bytes_of(source, part).data() + from * width * size_of(*part.tensor->dtype), n, as, out);
    out += n * size_of(as);
  }
}

void will_need(const Source& source) {
  for (const Source::Part& part : source.parts) {
    const auto bytes = bytes_of(source, part);
    if (part.tensor->file) part.tensor->file->will_need(file_offset(*part.tensor->file, bytes), bytes.size());
  }
}

void drop_pages(const Source& source) {
  for (const Source::Part& part : source.parts) {
    const auto bytes = bytes_of(source, part);
    if (part.tensor->file) part.tensor->file->drop(file_offset(*part.tensor->file, bytes), bytes.size());
  }
}

}  // namespace fude
