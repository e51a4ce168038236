// Measuring, packing, binding and listing of single weights.
#include "weights/loader.h"

#include <algorithm>
#include <utility>

#include "weights/weight_source.h"

namespace fude {

namespace {

// Several sources seen as one matrix, their rows one after the other.
ReadRows rows_of(std::vector<Source> sources) {
  return [sources = std::move(sources)](int64_t begin, int64_t end, WeightFormat as, void* rows) {
    int64_t first = 0;
    for (const Source& source : sources) {
      const int64_t count = source.rows();
      const int64_t from = std::max(begin, first);
      const int64_t to = std::min(end, first + count);
      if (from < to)
        read_rows(source, from - first, to - first, element_of(as),
                  static_cast<std::byte*>(rows) + bytes_of(as, from - begin, source.row_elements()));
      first += count;
    }
  };
}

}  // namespace

Loader Loader::at(std::string_view prefix) const {
  Loader inner = *this;
  inner.prefix_ += prefix;
  return inner;
}

bool Loader::maps(std::string_view name) const { return !source_ || source_->maps(prefix_ + std::string(name)); }

Linear Loader::linear(std::string_view name, int64_t out, int64_t in, Bias bias) { return linear({name}, out, in, bias); }

Linear Loader::linear(std::initializer_list<std::string_view> names, int64_t out, int64_t in, Bias bias) {
  std::vector<Source> weights, biases;
  for (const std::string_view name : names) {
    weights.push_back(find(std::string(name) + ".weight", {out, in}));
    if (bias == Bias::there) biases.push_back(find(std::string(name) + ".bias", {out}));
  }
  const WeightShape shape{.out = out * std::ssize(names), .in = in};
  Linear linear{.weight = weight(shape, rows_of(std::move(weights))), .bias = {}};
  if (bias == Bias::there) linear.bias = vector(shape.out, rows_of(std::move(biases)));
  return linear;
}

Linear Loader::patch_linear(std::string_view name, int64_t out, int64_t in, int64_t patch) {
  Source matrix = find(std::string(name) + ".weight", {out, in, patch, patch});
  Linear linear{.weight = weight({.out = out, .in = in * patch * patch}, rows_of({std::move(matrix)})), .bias = {}};
  linear.bias = vector(std::string(name) + ".bias", out);
  return linear;
}

Conv Loader::conv(std::string_view name, int64_t out, int64_t in, int64_t kernel, bool upsample) {
  Source matrix = find(std::string(name) + ".weight", {out, in, kernel, kernel});
  const WeightShape shape{.out = out, .in = in, .kernel = kernel, .upsample = upsample};
  Conv conv{.weight = weight(shape, rows_of({std::move(matrix)})), .bias = {}};
  conv.bias = vector(std::string(name) + ".bias", out);
  return conv;
}

Norm Loader::norm(std::string_view name, int64_t channels, Bias bias) {
  const std::string stem(name);
  Norm norm{.weight = vector(stem + ".weight", channels), .bias = {}};
  if (bias == Bias::there) norm.bias = vector(stem + ".bias", channels);
  return norm;
}

Tensor Loader::vector(std::string_view name, int64_t n) { return vector(n, rows_of({find(name, {n})})); }

Source Loader::table(std::string_view name, const std::vector<int64_t>& shape) { return find(name, shape); }

Source Loader::find(std::string_view name, const std::vector<int64_t>& shape) {
  const std::string whole = prefix_ + std::string(name);
  if (recorded_) recorded_->push_back({whole, shape});
  return source_ ? source_->find(whole, shape) : Source{whole, shape, {}};
}

Weight Loader::weight(const WeightShape& shape, const ReadRows& read) {
  if (!memory_) return {nullptr, format_, shape};
  void* memory = memory_->allocate(device_->packed_bytes(shape, format_));
  return transfer_ ? transfer_->pack(shape, format_, read, memory) : Weight{memory, format_, shape};
}

Tensor Loader::vector(int64_t n, const ReadRows& read) {
  if (!memory_) return Tensor::of(nullptr, DType::f32, {n});
  void* memory = memory_->allocate(n * 4);
  return transfer_ ? transfer_->pack_vector(n, read, memory) : Tensor::of(memory, DType::f32, {n});
}

}  // namespace fude
