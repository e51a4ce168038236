// For functions that read the sizes of a component from its tensors; what tensors do not say comes from config.json, else from
// the released SD3.5. Where both have a value they must agree. Every value is bounded, so that products of a few of them cannot
// overflow.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "weights/component_tensors.h"

namespace fude {

constexpr int64_t kMostBlocks = 512;
constexpr int64_t kLargestExtent = 1 << 20;
constexpr int64_t kReleasedHeadSize = 64;

// All throw Error{bad_checkpoint}, which names the component and its file.
[[noreturn]] void fail(const ComponentTensors& tensors, const std::string& what);
// The shape of a tensor that every model has, with that many dimensions, none of them absurd.
std::vector<int64_t> shape_of(const ComponentTensors& tensors, const std::string& canonical, size_t dimensions);
int64_t blocks_of(const ComponentTensors& tensors);
void check_divides(const ComponentTensors& tensors, int64_t parts, int64_t whole, const std::string& what);

}  // namespace fude
