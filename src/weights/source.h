// One logical tensor: row ranges of stored tensors, in order, and what is changed about them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "weights/tensor_file.h"

namespace fude {

// A change to the values of one tensor, such as what a LoRA adds to it.
struct Patch {
  std::string tensor;  // canonical
  uint64_t epoch = 0;  // not 0; another one whenever it changes values differently: a hash of its file, its strength …
  std::function<void(int64_t begin, int64_t end, float* rows)> apply;  // to rows [begin, end), from several threads at once
};
using Patches = std::vector<std::shared_ptr<const Patch>>;

struct Source {
  // Rows are those of the logical tensor: shape[0] of them, each of shape[1] · shape[2] … elements.
  struct Part {
    const StoredTensor* tensor = nullptr;
    int64_t row_begin = 0, rows = 0;
    float scale = 1;           // of ComfyUI's scaled fp8
    bool nan_is_zero = false;  // ComfyUI's rule for the embeddings of a plain fp8 T5
  };

  std::string name;  // canonical
  std::vector<int64_t> shape;
  std::vector<Part> parts;
  Patches patches = {};  // applied in order, in f32

  int64_t rows() const { return shape.empty() ? 1 : shape[0]; }
  int64_t row_elements() const;
};

// Reads rows [begin, end) as a float dtype into `destination`, contiguous. Throws Error{io} when the file has changed
// since it was opened.
void read_rows(const Source& source, int64_t begin, int64_t end, DType as, void* destination);

// The rows of a table that all of `ids` name, one after the other. Each is read once however often it is named.
std::vector<float> look_up(const Source& table, const std::vector<std::vector<int32_t>>& ids);

}  // namespace fude
