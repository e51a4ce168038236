// Loader: turns tensors of a checkpoint into Weights, Norms and vectors in memory, packed for the device.
//
// A component's load functions (weights/components/) describe its weights once: canonical names and shapes, in order. The same
// functions measure how many bytes are needed, assign addresses, fill them, and list what a checkpoint has to hold.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "core/device.h"
#include "weights/source.h"

namespace fude {

class WeightSource;

struct ExpectedTensor {
  std::string name;  // canonical
  std::vector<int64_t> shape;
};

enum class Bias { there, none };

class Loader {
 public:
  // Allocates from `memory`, which outlives what is loaded. Without a transfer nothing is read, and the results have no
  // contents yet. Throws Error{bad_checkpoint} for what is absent or has another shape.
  Loader(const Device& device, WeightFormat format, const WeightSource& source, Arena& memory, Transfer* transfer)
      : device_(&device), format_(format), source_(&source), memory_(&memory), transfer_(transfer) {}
  // For tables only.
  explicit Loader(const WeightSource& source) : source_(&source) {}
  // Lists what it is asked for; the results have neither memory nor contents.
  explicit Loader(std::vector<ExpectedTensor>& recorded) : recorded_(&recorded) {}

  // Lists from now on what it is asked for, besides.
  void record(std::vector<ExpectedTensor>& list) { recorded_ = &list; }

  // The same, with names that start with `prefix`.
  Loader at(std::string_view prefix) const;
  // Whether the checkpoint's layout has such a tensor at all: CLIP-L's single files go without its projection.
  bool maps(std::string_view name) const;

  // NAME.weight [out, in] and NAME.bias [out].
  Linear linear(std::string_view name, int64_t out, int64_t in, Bias bias = Bias::there);
  // Several of [out, in], their rows one after the other.
  Linear linear(std::initializer_list<std::string_view> names, int64_t out, int64_t in, Bias bias = Bias::there);
  // A convolution as wide as its stride, which is a linear over patches [in·patch·patch].
  Linear patch_linear(std::string_view name, int64_t out, int64_t in, int64_t patch);
  // NAME.weight [out, in, kernel, kernel] and NAME.bias [out]. upsample: always used with ConvOptions::upsample.
  Conv conv(std::string_view name, int64_t out, int64_t in, int64_t kernel, bool upsample = false);
  Norm norm(std::string_view name, int64_t channels, Bias bias = Bias::there);  // NAME.weight and NAME.bias
  Tensor vector(std::string_view name, int64_t n);                              // f32; the whole name
  Source table(std::string_view name, const std::vector<int64_t>& shape);       // whose rows are looked up in the file

 private:
  Source find(std::string_view name, const std::vector<int64_t>& shape);
  Weight weight(const WeightShape& shape, const ReadRows& read);
  Tensor vector(int64_t n, const ReadRows& read);

  const Device* device_ = nullptr;
  WeightFormat format_ = WeightFormat::f32;  // of packed matrices
  const WeightSource* source_ = nullptr;
  Arena* memory_ = nullptr;
  Transfer* transfer_ = nullptr;
  std::vector<ExpectedTensor>* recorded_ = nullptr;
  std::string prefix_;
};

// What a component looks up in its files instead of loading it.
template <class Geometry>
auto tables_of(const WeightSource& source, const Geometry& geometry) {
  Loader file(source);
  return load_tables(file, geometry);
}

// All tensors of a component with such a geometry (weights/components/).
template <class Geometry>
std::vector<ExpectedTensor> expected_tensors(const Geometry& geometry) {
  std::vector<ExpectedTensor> list;
  Loader recording(list);
  load_all(recording, geometry);
  return list;
}

}  // namespace fude
