// The safetensors header and what is concluded from it: layouts, geometry, the tensors to expect. Only Error may come out.
//
// A first byte of 'f' makes the rest a whole file. Otherwise the rest is a header, which gets its right length and as many
// bytes of data as it describes when it is well-formed, so that the fuzzer need not guess them.
#include <nlohmann/json.hpp>
#include <string>

#include "fude/error.h"
#include "weights/component_tensors.h"
#include "weights/config.h"
#include "weights/loader.h"

namespace {

using namespace fude;

size_t described_bytes(const std::string& header) {
  constexpr size_t kMost = 1 << 16;
  const auto json = nlohmann::json::parse(header, nullptr, false);
  size_t most = 0;
  if (json.is_object())
    for (const auto& entry : json)
      if (entry.is_object() && entry.contains("data_offsets"))
        for (const auto& offset : entry["data_offsets"])
          if (offset.is_number_unsigned()) most = std::max<size_t>(most, std::min<size_t>(offset.get<size_t>(), kMost));
  return most;
}

void try_geometry(const ComponentTensors& tensors) {
  try {
    const ComponentType& type = type_of(tensors.component());
    std::vector<ExpectedTensor> expected;
    Loader recording(expected);
    type.load(recording, type.geometry(tensors, Config()));
    for (const ExpectedTensor& e : expected)
      if (const auto source = tensors.find(e.name); source && source->shape == e.shape && source->row_elements() < 1 << 16) {
        std::vector<float> row(static_cast<size_t>(source->row_elements()));
        if (source->rows() > 0) read_rows(*source, source->rows() - 1, source->rows(), DType::f32, row.data());
      }
  } catch (const Error&) {
  }
}

void try_file(const std::string& file) {
  TensorList header;
  try {
    header = parse_tensors({reinterpret_cast<const std::byte*>(file.data()), file.size()}, "fuzz");
  } catch (const Error&) {
    return;
  }
  unsigned sum = 0;
  std::vector<const StoredTensor*> tensors;
  for (const StoredTensor& tensor : header.tensors) {
    tensors.push_back(&tensor);
    for (const std::byte byte : tensor.bytes) sum += std::to_integer<unsigned>(byte);
  }
  volatile unsigned sink = sum;
  (void)sink;
  for (const Origin origin : {Origin::folder, Origin::file})
    for (const Component component : kComponents) {
      const auto found = ComponentTensors::recognise(component, origin, true, tensors);
      if (found) try_geometry(*found);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 'f') {
    try_file(rest);
    return 0;
  }
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>(rest.size() >> (8 * i) & 0xff);
  file += rest;
  file.resize(file.size() + described_bytes(rest), '\x3c');
  try_file(file);
  return 0;
}
