// What a device does unless it knows better: fused kernels by their definitions, graphs that are just run.
#include "core/device.h"

#include <chrono>
#include <cstring>

namespace fude {

double Device::now() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::optional<ProcessorTime> Device::processor_time() const { return fude::processor_time(); }

DeviceMemory Device::device_memory() const {
  const HostMemory host = host_memory();
  return {host.total, host.available};
}

void Device::poison(void* memory, int64_t bytes) { std::memset(memory, 0xff, static_cast<size_t>(bytes)); }

void Device::replay(std::unique_ptr<DeviceGraph>&, const std::function<void()>& work) { work(); }

int64_t Device::packed_bytes(const WeightShape& shape, WeightFormat format) const {
  return bytes_of(format, shape.out, shape.row());
}

void Device::do_noise(const Tensor& out, TorchGenerator& generator) { do_upload(out, generator.randn(out.numel()).data()); }

void Device::do_norm_modulate(const Tensor& out, const Tensor& x, const Tensor& shift, const Tensor& scale, float eps) {
  do_layer_norm(out, x, Norm{}, eps);
  do_modulate(out, out, shift, scale);
}

}  // namespace fude
