#include "weights/source.h"

#include <algorithm>
#include <cmath>

namespace fude {

namespace {

size_t file_offset(const MappedFile& file, std::span<const std::byte> bytes) {
  return static_cast<size_t>(bytes.data() - file.bytes().data());
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

void read_rows_f32(const Source& source, int64_t begin, int64_t end, float* destination) {
  const int64_t width = source.row_elements();
  int64_t first = 0;  // row of the source at which the part begins
  for (const Source::Part& part : source.parts) {
    const int64_t from = std::max(begin, first) - first, to = std::min(end, first + part.rows) - first;
    first += part.rows;
    if (from >= to) continue;
    if (part.tensor->file) part.tensor->file->check_unchanged();
    const DType dtype = *part.tensor->dtype;
    const int64_t n = (to - from) * width;
    to_f32(dtype, bytes_of(source, part).data() + from * width * size_of(dtype), destination, n);
    if (part.scale != 1) std::for_each(destination, destination + n, [&](float& value) { value *= part.scale; });
    if (part.nan_is_zero)
      std::replace_if(
          destination, destination + n, [](float value) { return std::isnan(value); }, 0.0f);
    destination += n;
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
