// The operations that `bench_ops` times: SD3.5-medium's with guidance, as its forward pass issues them, on random numbers.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "core/backend.h"

namespace fude {

// Makes the inputs of an operation in the backend's arena; while that measures, without contents.
class BenchInputs {
 public:
  explicit BenchInputs(Backend& backend);

  Tensor tensor(std::initializer_list<int64_t> shape, DType dtype) const;
  Tensor tensor(std::initializer_list<int64_t> shape) const { return tensor(shape, op.dtype()); }
  Tensor vector(int64_t n) const { return tensor({n}, DType::f32); }
  Linear linear(int64_t out, int64_t in) const;
  Conv conv(int64_t out, int64_t in, bool upsample) const;  // 3×3

  Backend& op;

 private:
  Weight weight(const WeightShape& shape) const;
  void read(int64_t begin, int64_t end, DType as, void* out) const;  // numbers [begin, end) of an endless row

  std::vector<float> numbers_;
};

// One operation. What it works on exists `copies` times; call i uses copy i.
struct BenchCase {
  using Call = std::function<void(int64_t i)>;

  std::string name, shape;
  int64_t bytes = 0;  // that a call reads and writes, where memory limits it
  int64_t copies = 1;
  std::function<Call(const BenchInputs&)> prepare;
};

// Of a picture of width×height pixels.
std::vector<BenchCase> bench_cases(int64_t width, int64_t height, DType dtype);

// What peaks are measured with.
BenchCase square_product(int64_t side);
BenchCase large_copy();

}  // namespace fude
