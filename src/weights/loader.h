// Loader: turns tensors of a checkpoint into Weights, Norms and vectors in memory, packed for the backend.
//
// Names are canonical (weights/layouts.h). The same code measures how many bytes are needed, assigns addresses, and fills them.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "core/backend.h"
#include "weights/checkpoint.h"

namespace fude {

class Loader {
 public:
  // Allocates from `memory`, which outlives what is loaded. Without a side nothing is read, and the results have no
  // contents yet.
  Loader(const Backend& op, const Checkpoint& checkpoint, Component component, Arena& memory, std::optional<Side> fill)
      : op_(op), checkpoint_(checkpoint), component_(component), memory_(memory), fill_(fill) {}

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

  const Backend& op_;
  const Checkpoint& checkpoint_;
  Component component_;
  Arena& memory_;
  std::optional<Side> fill_;
  std::string prefix_;
};

}  // namespace fude
