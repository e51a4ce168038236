// What the weights of one component are made from: the tensors of its files, and patches on them.
#pragma once

#include <any>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "weights/checkpoint.h"

namespace fude {

// A value, cheap to copy. The checkpoint outlives it, and what it gives. Epochs tell whether two of them give the same: whoever
// has loaded weights compares.
class WeightSource {
 public:
  WeightSource(const Checkpoint& checkpoint, Component component, Patches patches = {})
      : checkpoint_(&checkpoint), component_(component), patches_(std::move(patches)) {}

  Component component() const { return component_; }
  template <class Geometry>  // that of its own file
  const Geometry& geometry() const {
    return std::any_cast<const Geometry&>(checkpoint_->geometry(component_));
  }
  // Whether the layout of its files has such a tensor at all. Names are canonical.
  bool maps(std::string_view name) const { return checkpoint_->tensors(component_).maps(name); }
  // Error{bad_checkpoint} naming file and tensor when it is absent, of another shape or cannot be used.
  Source find(std::string_view name, const std::vector<int64_t>& shape) const;

  // Another number whenever a tensor has other values; 0: those of its files. Without a name: of the whole component.
  uint64_t epoch(std::string_view name) const;
  uint64_t epoch() const;

 private:
  template <class Which>
  uint64_t epoch_of(const Which& which) const;

  const Checkpoint* checkpoint_;
  Component component_;
  Patches patches_;
};

}  // namespace fude
