// Writing a safetensors file.
#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <system_error>

#include "fude/error.h"
#include "weights/paths.h"
#include "weights/quote.h"
#include "weights/safetensors.h"
#include "weights/stored_type.h"

namespace fude {

namespace {

std::string header_of(const std::vector<StoredTensor>& tensors, const Metadata& metadata) {
  nlohmann::ordered_json header;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  size_t offset = 0;
  for (const StoredTensor& t : tensors) {
    header[t.name] = {{"dtype", t.type}, {"shape", t.shape}, {"data_offsets", {offset, offset + t.bytes.size()}}};
    offset += t.bytes.size();
  }
  std::string text = tensors.empty() && metadata.empty() ? "{}" : header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

void write_all(std::ofstream& file, const std::vector<StoredTensor>& tensors, const std::string& header) {
  for (int i = 0; i < 8; ++i) file.put(static_cast<char>(static_cast<uint64_t>(header.size()) >> (8 * i) & 0xff));
  file << header;
  for (const StoredTensor& t : tensors)
    file.write(reinterpret_cast<const char*>(t.bytes.data()), static_cast<std::streamsize>(t.bytes.size()));
  file.close();
}

}  // namespace

StoredTensor stored_tensor(std::string name, DType dtype, std::vector<int64_t> shape, std::span<const std::byte> bytes) {
  return {std::move(name), dtype, find_stored_type(dtype)->name, std::move(shape), bytes, nullptr};
}

void write_safetensors(const std::filesystem::path& path, std::vector<StoredTensor> tensors, const Metadata& metadata) {
  const auto width = [](const StoredTensor& t) {
    return 8 * find_stored_type(t.type)->block_bytes / find_stored_type(t.type)->block;
  };
  std::stable_sort(tensors.begin(), tensors.end(), [&](const auto& a, const auto& b) { return width(a) > width(b); });
  std::filesystem::path temporary = path;
  temporary += "." + std::to_string(std::random_device{}()) + ".part";
  const auto fail = [&] {
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    throw Error(
        Code::io,
        "cannot write " + shown(path) +
            ". Check that its folder exists, may be written to and has room, and that no folder or device has its name.");
  };
  if (!why_not_replaced(path).empty()) fail();
  std::ofstream file(temporary, std::ios::binary);
  if (!file) fail();
  write_all(file, tensors, header_of(tensors, metadata));
  if (!file) fail();
  std::error_code failed;
  std::filesystem::rename(temporary, path, failed);
  if (failed) fail();
}

}  // namespace fude
