// What tests share: fixtures, goldens and the distance between tensors.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/ops.h"
#include "cpu/cpu_device.h"
#include "cuda/cuda.h"
#include "fude/fude.h"
#include "reference/reference_device.h"
#include "weights/safetensors.h"

namespace fude::test {

inline const std::filesystem::path kSource = FUDE_SOURCE_DIR;
inline std::filesystem::path fixture(const std::string& name) { return kSource / "tests" / "fixtures" / name; }
inline const std::vector<std::string> kPipelines = {"dual", "plain", "no_t5", "odd", "turbo"};

// Of two pictures, in levels.
inline double largest_difference(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  double most = a.size() == b.size() ? 0 : 256;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) most = std::max(most, std::abs(static_cast<double>(a[i]) - b[i]));
  return most;
}

// Mean squared error over the mean square of what was expected.
inline double nmse(const float* actual, const float* expected, size_t n) {
  double error = 0, power = 0;
  for (size_t i = 0; i < n; ++i) {
    error += (static_cast<double>(actual[i]) - expected[i]) * (static_cast<double>(actual[i]) - expected[i]);
    power += static_cast<double>(expected[i]) * expected[i];
  }
  return std::isfinite(error) ? error / std::max(power, 1e-30) : INFINITY;
}

struct Golden {
  std::vector<int64_t> shape;
  std::vector<float> values;  // numbers of any type, as f32
};

class Goldens {
 public:
  explicit Goldens(const std::string& pipeline) : Goldens(TensorFile::open(fixture(pipeline) / "goldens.safetensors")) {}
  explicit Goldens(TensorFile file) : file_(std::move(file)) {}

  bool contains(const std::string& name) const { return file_.find(name) != nullptr; }
  Golden operator[](const std::string& name) const {
    const StoredTensor* tensor = file_.find(name);
    if (!tensor) throw std::runtime_error("no golden " + name);
    Golden golden{tensor->shape, {}};
    int64_t n = 1;
    for (int64_t d : tensor->shape) n *= d;
    golden.values.resize(static_cast<size_t>(n));
    if (tensor->dtype == DType::i32) {
      std::vector<int32_t> ids(golden.values.size());
      std::memcpy(ids.data(), tensor->bytes.data(), tensor->bytes.size());
      golden.values.assign(ids.begin(), ids.end());
    } else if (tensor->dtype == DType::u8) {
      for (size_t i = 0; i < golden.values.size(); ++i) golden.values[i] = static_cast<float>(tensor->bytes[i]);
    } else {
      to_f32(*tensor->dtype, tensor->bytes.data(), golden.values.data(), n);
    }
    return golden;
  }

 private:
  TensorFile file_;
};

inline Request request_of(const std::string& pipeline) {
  std::ifstream file(fixture(pipeline) / "request.json");
  const auto json = nlohmann::json::parse(file);
  Request request;
  request.prompt = json["prompt"];
  request.negative = json["negative"];
  request.width = json["width"];
  request.height = json["height"];
  request.steps = json["steps"].get<int64_t>();
  request.guidance = json["guidance"].get<double>();
  request.seed = json["seed"];
  request.count = json["count"];
  return request;
}

// Every device and dtype that operations and models are tested on. A new device joins by one line.
struct TestDevice {
  std::string name;
  std::shared_ptr<Device> device;
  DType dtype;
};
inline std::vector<TestDevice> devices_under_test() {
  std::vector<TestDevice> all = {{"reference_f32", std::make_shared<ReferenceDevice>(), DType::f32},
                                 {"reference_bf16", std::make_shared<ReferenceDevice>(), DType::bf16},
                                 {"reference_f16", std::make_shared<ReferenceDevice>(), DType::f16},
                                 {"cpu_f32", std::make_shared<CpuDevice>(2), DType::f32},
                                 {"cpu_bf16", std::make_shared<CpuDevice>(2), DType::bf16}};
  if (why_no_cuda().empty())
    for (const auto& [name, dtype] : {std::pair{"cuda_f32", DType::f32}, {"cuda_f16", DType::f16}, {"cuda_bf16", DType::bf16}})
      all.push_back({name, std::shared_ptr(make_cuda_device(0)), dtype});
  return all;
}
// What --device may be on this machine.
inline std::vector<std::string> engine_devices() {
  std::vector<std::string> names = {"cpu"};
  if (why_no_cuda().empty()) names.push_back("cuda");
  return names;
}
inline void PrintTo(const TestDevice& device, std::ostream* out) { *out << device.name; }

// Arenas for one test, and what runs in them.
struct RealRun {
  RealRun(Device& device, DType dtype, int64_t bytes = int64_t{256} << 20, int64_t host_bytes = int64_t{4} << 20)
      : buffer(device.allocate(bytes)),
        host_buffer(device.allocate_host(host_bytes)),
        arena(buffer),
        host_arena(host_buffer),
        op(device, arena, host_arena, {.dtype = dtype}) {}
  Buffer buffer, host_buffer;
  Arena arena, host_arena;
  Ops op;
};

// The same, without contents.
struct DryRun {
  DryRun(Device& device, DType dtype) : op(device, arena, host_arena, {.dtype = dtype}) {}
  Arena arena = Arena::measuring();
  Arena host_arena = Arena::measuring();
  Ops op;
};

inline std::vector<float> values_of(Ops& op, const Tensor& x) {
  std::vector<char> raw(static_cast<size_t>(x.bytes()));
  op.download(x, raw.data());
  std::vector<float> values(static_cast<size_t>(x.numel()));
  to_f32(x.dtype, raw.data(), values.data(), x.numel());
  return values;
}

}  // namespace fude::test
