// Sizes out of tensors, checked.
#include "weights/geometry.h"

#include <algorithm>

#include "fude/error.h"
#include "weights/component.h"
#include "weights/quote.h"

namespace fude {

[[noreturn]] void fail(const ComponentTensors& tensors, const std::string& what) {
  const auto& stored = tensors.stored();
  const MappedFile* file = stored.empty() ? nullptr : stored.front().tensor->file;
  throw Error(Code::bad_checkpoint, "the " + std::string(name_of(tensors.component())) +
                                        (file ? " in " + shown(file->path()) : "") + " " + what +
                                        ". The file is damaged or not a Stable Diffusion 3.5 model.");
}

std::vector<int64_t> shape_of(const ComponentTensors& tensors, const std::string& canonical, size_t dimensions) {
  const auto source = tensors.find(canonical);
  if (!source) fail(tensors, "lacks the tensor " + shown(canonical));
  const auto absurd = [](int64_t extent) { return extent < 1 || extent > kLargestExtent; };
  if (source->shape.size() != dimensions || std::any_of(source->shape.begin(), source->shape.end(), absurd))
    fail(tensors, "has " + shown(canonical) + " with the impossible shape " + text_of_shape(source->shape));
  return source->shape;
}

int64_t blocks_of(const ComponentTensors& tensors) {
  if (tensors.blocks() < 1 || tensors.blocks() > kMostBlocks)
    fail(tensors, "has " + std::to_string(tensors.blocks()) + " blocks, not between 1 and " + std::to_string(kMostBlocks));
  return tensors.blocks();
}

void check_divides(const ComponentTensors& tensors, int64_t parts, int64_t whole, const std::string& what) {
  if (parts < 1 || whole % parts != 0)
    fail(tensors, "cannot split " + std::to_string(whole) + " channels into " + std::to_string(parts) + " " + what);
}

}  // namespace fude
