// Tensor: a non-owning view of activations, passed by value. Whoever made the memory (an Arena, a weight slot, a caller) owns
// it.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "core/dtype.h"

namespace fude {

struct Tensor {
  void* data = nullptr;
  DType dtype = DType::f32;
  int rank = 0;
  std::array<int64_t, 4> shape{};
  std::array<int64_t, 4> stride{};  // in elements; the last one is always 1

  // A contiguous view of `memory`.
  static Tensor of(void* memory, DType dtype, std::initializer_list<int64_t> shape);

  explicit operator bool() const { return data != nullptr; }
  int64_t dim(int i) const { return shape[static_cast<size_t>(i < 0 ? rank + i : i)]; }  // dim(-1) is the last
  int64_t numel() const;
  int64_t bytes() const { return numel() * size_of(dtype); }
  bool contiguous() const;
  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }

  // Views. Ranges are half open.
  Tensor batch(int64_t begin, int64_t end) const { return range(0, begin, end); }           // of the first dimension
  Tensor rows(int64_t begin, int64_t end) const { return range(rank - 2, begin, end); }     // of the last but one
  Tensor columns(int64_t begin, int64_t end) const { return range(rank - 1, begin, end); }  // of the last
  Tensor operator[](int64_t i) const;                       // item i of the first dimension, one dimension less
  Tensor view(std::initializer_list<int64_t> shape) const;  // the same elements in another shape; contiguous only
  std::string describe() const;                             // "bf16[2, 333, 1536]"

 private:
  Tensor range(int dimension, int64_t begin, int64_t end) const;
};

bool same_shape(const Tensor& a, const Tensor& b);

}  // namespace fude
