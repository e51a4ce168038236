// Loader: turns tensors of a checkpoint into Weights, Norms and vectors in memory, packed for the device.
//
// Names are canonical (weights/layouts.h). The same code measures how many bytes are needed, assigns addresses, and fills them.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "core/device.h"
#include "weights/checkpoint.h"

namespace fude {

class Loader {
 public:
  // Allocates from `memory`, which outlives what is loaded. Without a transfer nothing is read, and the results have no
  // contents yet.
  Loader(const Device& device, DType dtype, const Checkpoint& checkpoint, Component component, Arena& memory,
         Transfer* transfer)
      : device_(device), dtype_(dtype), checkpoint_(checkpoint), component_(component), memory_(memory), transfer_(transfer) {}

  // The same, with names that start with `prefix`.
  Loader at(std::string_view prefix) const;
  bool contains(std::string_view name) const { return checkpoint_.contains(component_, prefix_ + std::string(name)); }

  Linear linear(std::string_view name) { return linear({std::string(name)}); }  // NAME.weight and, where it exists, NAME.bias
  Linear linear(std::initializer_list<std::string> names);                      // several, their rows one after the other
  Conv conv(std::string_view name, bool upsample = false);  // upsample: always used with ConvOptions::upsample
  Norm norm(std::string_view name);                         // NAME.weight and, where it exists, NAME.bias
  Tensor vector(std::string_view name);                     // f32, flattened; the whole name

 private:
  Weight weight(const WeightShape& shape, const ReadRows& read);
  Tensor vector(int64_t n, const ReadRows& read);

  const Device& device_;
  DType dtype_;  // of packed weights
  const Checkpoint& checkpoint_;
  Component component_;
  Arena& memory_;
  Transfer* transfer_;
  std::string prefix_;
};

}  // namespace fude
