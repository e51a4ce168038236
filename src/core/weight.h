// What linears and convolutions multiply by. Models never look inside: the bytes are in the order the device that packed them
// likes, scales included.
#pragma once

#include <cstdint>
#include <functional>

#include "core/tensor.h"
#include "core/weight_format.h"

namespace fude {

// The logical shape: a linear's [out, in] has a 1×1 kernel, a convolution is [out, in, kernel, kernel].
struct WeightShape {
  int64_t out = 0, in = 0, kernel = 1;
  bool upsample = false;  // 3×3 only: always used with ConvOptions::upsample, which a device may prepare the weight for
  int64_t numel() const { return out * in * kernel * kernel; }
  int64_t row() const { return in * kernel * kernel; }
};

struct Weight {
  const void* data = nullptr;
  WeightFormat format = WeightFormat::f32;
  WeightShape shape;
  explicit operator bool() const { return data != nullptr; }
};

// Reads rows [begin, end) of the checkpoint's [out, in·kernel·kernel] matrix in any dense format; a copy of bytes where the
// checkpoint has that format. Called from several threads at once.
using ReadRows = std::function<void(int64_t begin, int64_t end, WeightFormat as, void* rows)>;

// Vectors (biases, norm weights) are always f32: they are small, and this is how every kernel wants them.
struct Linear {
  Weight weight;  // y = x·Wᵀ + b
  Tensor bias;    // [out], may be empty
};

struct Conv {
  Weight weight;
  Tensor bias;  // [out]
};

struct Norm {
  Tensor weight;  // [channels]
  Tensor bias;    // [channels], may be empty
};

}  // namespace fude
