// What the weights of one component are made from.
#pragma once

#include <any>
#include <string_view>
#include <vector>

#include "weights/checkpoint.h"

namespace fude {

// A value, cheap to copy. The checkpoint outlives it, and what it gives.
class WeightSource {
 public:
  WeightSource(const Checkpoint& checkpoint, Component component) : checkpoint_(&checkpoint), component_(component) {}

  Component component() const { return component_; }
  template <class Geometry>  // that of its own file
  const Geometry& geometry() const {
    return std::any_cast<const Geometry&>(checkpoint_->geometry(component_));
  }
  // Whether the layout of its files has such a tensor at all. Names are canonical.
  bool maps(std::string_view name) const { return checkpoint_->tensors(component_).maps(name); }
  // Error{bad_checkpoint} naming file and tensor when it is absent, of another shape or cannot be used.
  Source find(std::string_view name, const std::vector<int64_t>& shape) const;

 private:
  const Checkpoint* checkpoint_;
  Component component_;
};

}  // namespace fude
