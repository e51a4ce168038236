// Which tensors a complete component has, and their shapes: the only list, from the geometry, under canonical names.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "weights/geometry.h"

namespace fude {

struct ExpectedTensor {
  std::string name;
  std::vector<int64_t> shape;
};

std::vector<ExpectedTensor> expected_tensors(const ClipGeometry& g);  // with text_projection; a layout may not have it
std::vector<ExpectedTensor> expected_tensors(const T5Geometry& g);
std::vector<ExpectedTensor> expected_tensors(const MmditGeometry& g);
std::vector<ExpectedTensor> expected_tensors(const VaeGeometry& g);

}  // namespace fude
