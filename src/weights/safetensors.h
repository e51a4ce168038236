// The safetensors format: a length, a JSON header, the tensors' bytes. The header is read as if written by an enemy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/dtype.h"
#include "weights/mapped_file.h"

namespace fude {

struct StoredTensor {
  std::string name;
  std::optional<DType> dtype;  // none: the format has this type, fude does not compute with it
  std::string_view type;       // the format's name of the type: "F16", "F8_E5M2"
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
  const MappedFile* file = nullptr;  // none when parsed from memory

  int64_t elements() const;
};

using Metadata = std::map<std::string, std::string>;

// A tensor to be written; the bytes are only borrowed.
StoredTensor stored_tensor(std::string name, DType dtype, std::vector<int64_t> shape, std::span<const std::byte> bytes);

struct SafetensorsHeader {
  std::vector<StoredTensor> tensors;  // in the order of their bytes, without gaps, as the format demands
  Metadata metadata;
  std::span<const std::byte> json;
};

// Reads the header of a whole file that lies in memory. Throws Error{bad_checkpoint}; `where` names the file in messages.
SafetensorsHeader parse_safetensors(std::span<const std::byte> file, const std::filesystem::path& where);

class Safetensors {
 public:
  // Maps the file and checks its header. Throws Error{bad_checkpoint}.
  static Safetensors open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_->path(); }
  const MappedFile& file() const { return *file_; }
  const std::vector<StoredTensor>& tensors() const { return header_.tensors; }
  const Metadata& metadata() const { return header_.metadata; }
  std::span<const std::byte> header() const { return header_.json; }
  const StoredTensor* find(std::string_view name) const;  // null when absent

 private:
  std::unique_ptr<MappedFile> file_;
  SafetensorsHeader header_;
  std::vector<const StoredTensor*> by_name_;
};

// Writes a file under a temporary name beside `path` and then renames it, so it is there whole or not at all.
// Throws Error{io}. Tensors keep their order, wider element types first so that all are aligned.
void write_safetensors(const std::filesystem::path& path, std::vector<StoredTensor> tensors, const Metadata& metadata = {});

}  // namespace fude
