// Views of views: ranges of a dimension, single elements, other shapes.
#include "core/tensor.h"

#include <cassert>

namespace fude {

Tensor Tensor::of(void* memory, DType dtype, std::initializer_list<int64_t> shape) {
  assert(shape.size() >= 1 && shape.size() <= 4);
  Tensor t;
  t.data = memory;
  t.dtype = dtype;
  t.rank = static_cast<int>(shape.size());
  size_t i = 0;
  for (int64_t d : shape) t.shape[i++] = d;
  int64_t stride = 1;
  for (size_t j = shape.size(); j-- > 0;) {
    t.stride[j] = stride;
    stride *= t.shape[j];
  }
  return t;
}

int64_t Tensor::numel() const {
  int64_t n = rank > 0 ? 1 : 0;
  for (int i = 0; i < rank; ++i) n *= dim(i);
  return n;
}

bool Tensor::contiguous() const {
  int64_t expected = 1;
  for (size_t i = static_cast<size_t>(rank); i-- > 0;) {
    if (shape[i] != 1 && stride[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

Tensor Tensor::range(int dimension, int64_t begin, int64_t end) const {
  const auto d = static_cast<size_t>(dimension);
  assert(dimension >= 0 && dimension < rank && begin >= 0 && begin <= end && end <= shape[d]);
  Tensor t = *this;
  t.shape[d] = end - begin;
  t.data = static_cast<char*>(data) + begin * stride[d] * size_of(dtype);
  return t;
}

Tensor Tensor::operator[](int64_t i) const {
  assert(rank >= 2 && i >= 0 && i < shape[0]);
  Tensor t = *this;
  t.data = static_cast<char*>(data) + i * stride[0] * size_of(dtype);
  t.rank = rank - 1;
  for (size_t j = 0; j < 3; ++j) {
    t.shape[j] = shape[j + 1];
    t.stride[j] = stride[j + 1];
  }
  t.shape[3] = t.stride[3] = 0;
  return t;
}

Tensor Tensor::view(std::initializer_list<int64_t> new_shape) const {
  assert(contiguous());
  Tensor t = of(data, dtype, new_shape);
  assert(t.numel() == numel());
  return t;
}

std::string Tensor::describe() const {
  std::string s(name_of(dtype));
  s += '[';
  for (int i = 0; i < rank; ++i) s += (i ? ", " : "") + std::to_string(dim(i));
  return s + ']';
}

bool same_shape(const Tensor& a, const Tensor& b) {
  if (a.rank != b.rank) return false;
  for (int i = 0; i < a.rank; ++i)
    if (a.dim(i) != b.dim(i)) return false;
  return true;
}

}  // namespace fude
