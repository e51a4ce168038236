// Measuring, packing and binding of single weights.
#include "weights/loader.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace fude {

namespace {

int64_t elements(const Source& source) {
  int64_t n = 1;
  for (int64_t d : source.shape) n *= d;
  return n;
}

// Several sources seen as one matrix, their rows one after the other.
ReadRows rows_of(std::vector<Source> sources) {
  return [sources = std::move(sources)](int64_t begin, int64_t end, DType as, void* rows) {
    int64_t first = 0;
    for (const Source& source : sources) {
      const int64_t count = source.shape[0];
      const int64_t width = elements(source) / count;
      const int64_t from = std::max(begin, first);
      const int64_t to = std::min(end, first + count);
      if (from < to)
        read_rows(source, from - first, to - first, as, static_cast<std::byte*>(rows) + (from - begin) * width * size_of(as));
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

Linear Loader::linear(std::initializer_list<std::string> names) {
  std::vector<Source> weights, biases;
  for (const std::string& name : names) {
    weights.push_back(checkpoint_.find(component_, prefix_ + name + ".weight"));
    if (contains(name + ".bias")) biases.push_back(checkpoint_.find(component_, prefix_ + name + ".bias"));
  }
  WeightShape shape{.out = 0, .in = elements(weights[0]) / weights[0].shape[0]};
  for (const Source& source : weights) shape.out += source.shape[0];
  Linear linear{.weight = weight(shape, rows_of(std::move(weights))), .bias = {}};
  if (!biases.empty()) linear.bias = vector(shape.out, rows_of(std::move(biases)));
  return linear;
}

Conv Loader::conv(std::string_view name, bool upsample) {
  const Source source = checkpoint_.find(component_, prefix_ + std::string(name) + ".weight");
  const WeightShape shape{.out = source.shape[0], .in = source.shape[1], .kernel = source.shape[2], .upsample = upsample};
  Conv conv{.weight = weight(shape, rows_of({source})), .bias = {}};
  conv.bias = vector(std::string(name) + ".bias");
  return conv;
}

Norm Loader::norm(std::string_view name) {
  const std::string stem(name);
  return {vector(stem + ".weight"), contains(stem + ".bias") ? vector(stem + ".bias") : Tensor{}};
}

Tensor Loader::vector(std::string_view name) {
  const Source source = checkpoint_.find(component_, prefix_ + std::string(name));
  return vector(elements(source),
                [source](int64_t, int64_t, DType as, void* rows) { read_rows(source, 0, source.shape[0], as, rows); });
}

Weight Loader::weight(const WeightShape& shape, const ReadRows& read) {
  void* memory = memory_.allocate(op_.packed_bytes(shape, op_.dtype()));
  return fill_ ? op_.pack(shape, op_.dtype(), read, memory, *fill_) : Weight{memory, op_.dtype(), shape};
}

Tensor Loader::vector(int64_t n, const ReadRows& read) {
  void* memory = memory_.allocate(n * 4);
  return fill_ ? op_.pack_vector(n, read, memory, *fill_) : Tensor::of(memory, DType::f32, {n});
}

}  // namespace fude
