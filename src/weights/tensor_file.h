// A file of tensors in whatever format: their names, shapes and stored types, and their elements as stored or as floats.
//
// A format only says what its header describes (TensorFileFormat, a row in tensor_file.cpp); mapping, looking up and reading
// are the same for all, since in every one of them a tensor's elements lie one after the other.
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

  // Elements [begin, begin + n), row after row. Of a file they are copied out without mapping pages; Error{io} when it was
  // changed since it was opened.
  void read_stored(int64_t begin, int64_t n, void* out) const;  // as they are stored
  void read_f32(int64_t begin, int64_t n, float* out) const;    // with dtype only
};

using Metadata = std::map<std::string, std::string>;

// What a file's header describes.
struct TensorList {
  std::vector<StoredTensor> tensors;  // in the order of their bytes
  Metadata metadata;
};

struct TensorFileFormat {
  std::string_view name;
  bool (*recognises)(std::span<const std::byte> file);  // by its first bytes
  // Reads the header as if written by an enemy. Throws Error{bad_checkpoint}; `where` names the file in messages.
  TensorList (*parse)(std::span<const std::byte> file, const std::filesystem::path& where);
};

// For readers: throws Error{bad_checkpoint} that names the file.
[[noreturn]] void refuse_file(const std::filesystem::path& where, const std::string& what,
                              const std::string& advice = "Download it again.");

// The header of a whole file that lies in memory, in the format that its content tells. Throws Error{bad_checkpoint}, which
// says what the file is where it is none of the formats.
TensorList parse_tensors(std::span<const std::byte> file, const std::filesystem::path& where);

class TensorFile {
 public:
  // Maps the file and checks its header. Throws Error{bad_checkpoint}.
  static TensorFile open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_->path(); }
  const MappedFile& file() const { return *file_; }
  const std::vector<StoredTensor>& tensors() const { return list_.tensors; }
  const Metadata& metadata() const { return list_.metadata; }
  const StoredTensor* find(std::string_view name) const;  // null when absent

 private:
  std::unique_ptr<MappedFile> file_;
  TensorList list_;
  std::vector<const StoredTensor*> by_name_;
};

}  // namespace fude
