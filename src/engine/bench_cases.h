// The operations that `bench_ops` times: SD3.5-medium's with guidance, as its forward pass issues them, on random numbers.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "core/ops.h"

namespace fude {

// An endless row of numbers, the same each time.
class BenchNumbers {
 public:
  BenchNumbers();
  void read(int64_t begin, int64_t end, DType as, void* out) const;

 private:
  std::vector<float> numbers_;
};

// Makes the inputs of an operation in the run's arena; in a dry run without contents.
class BenchInputs {
 public:
  BenchInputs(Ops& run, const BenchNumbers& numbers) : op(run), numbers_(numbers) {}

  Tensor tensor(std::initializer_list<int64_t> shape, DType dtype) const;
  Tensor tensor(std::initializer_list<int64_t> shape) const { return tensor(shape, op.dtype()); }
  Tensor vector(int64_t n) const { return tensor({n}, DType::f32); }
  Linear linear(int64_t out, int64_t in) const;
  Conv conv(int64_t out, int64_t in, bool upsample) const;  // 3×3

  Ops& op;

 private:
  Weight weight(const WeightShape& shape) const;

  const BenchNumbers& numbers_;
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

// Single ones of any size, for peaks and for calibration.
BenchCase product(int64_t rows, int64_t out, int64_t in);
BenchCase attention(const std::string& name, int64_t batch, int64_t heads, int64_t tokens, int64_t head_dim);
BenchCase conv(int64_t height, int64_t width, int64_t out, int64_t in, bool upsample);
BenchCase norm(int64_t tokens, DType dtype);  // with modulation, again and again over the same rows
BenchCase large_copy();

}  // namespace fude
