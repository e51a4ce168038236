// The safetensors format: a length, a JSON header, the tensors' bytes.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "weights/tensor_file.h"

namespace fude {

extern const TensorFileFormat kSafetensors;

// A tensor to be written; the bytes are only borrowed.
StoredTensor stored_tensor(std::string name, DType dtype, std::vector<int64_t> shape, std::span<const std::byte> bytes);

// Writes a file under a temporary name beside `path` and then renames it, so it is there whole or not at all.
// Throws Error{io}. Tensors keep their order, wider element types first so that all are aligned.
void write_safetensors(const std::filesystem::path& path, std::vector<StoredTensor> tensors, const Metadata& metadata = {});

}  // namespace fude
