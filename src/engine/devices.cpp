// From names of devices and dtypes to what they stand for, and the lists of what there is.
#include "engine/devices.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "core/system.h"
#include "cpu/cpu_device.h"
#include "cuda/cuda.h"
#include "diffusion/samplers.h"
#include "diffusion/schedule.h"
#include "engine/cards.h"
#include "fude/error.h"

namespace fude {

std::unique_ptr<Device> make_device(const EngineOptions& options) {
  if (!options.card.empty()) return make_cuda_device(card_sheet(options.card).card);
  const std::string& device = options.device;
  if (device == "cpu" || (device == "auto" && !why_no_cuda().empty())) return std::make_unique<CpuDevice>(options.threads);
  if (device == "auto" || device == "cuda") return make_cuda_device(0);
  constexpr std::string_view kNumbered = "cuda:";
  int index = 0;
  if (device.starts_with(kNumbered)) {
    const char* const end = device.data() + device.size();
    const auto [stopped, error] = std::from_chars(device.data() + kNumbered.size(), end, index);
    if (error == std::errc{} && stopped == end && index >= 0) return make_cuda_device(index);
  }
  throw Error(Code::bad_request, {.what = "device " + device + " does not exist",
                                  .field = Field::device,
                                  .remedies = {{Remedy::use_one_of, Field::device, {"auto", "cpu", "cuda", "cuda:1"}}}});
}

DType requested_dtype(const std::string& name) {
  if (name == "f32") return DType::f32;
  if (name == "f16") return DType::f16;
  if (name == "bf16" || name == "auto") return DType::bf16;
  throw Error(Code::bad_request, {.what = "dtype " + name + " does not exist",
                                  .field = Field::dtype,
                                  .remedies = {{Remedy::use_one_of, Field::dtype, {"auto", "f32", "bf16", "f16"}}}});
}

DeviceInfo device_info(const std::string& name, int threads) {
  if (name != "cpu") {
    const std::vector<std::string> cards = cuda_card_names();
    const auto card = std::find(cards.begin(), cards.end(), name);
    if (card != cards.end()) return cuda_card(static_cast<size_t>(card - cards.begin()));
  }
  const HostMemory memory = host_memory();
  const CpuDevice cpu(threads);
  return {.name = "cpu",
          .description = processor_name() + ", " + cpu.description(),
          .library = cpu.library(),
          .memory = memory.total,
          .free = memory.available,
          .fast_dtypes = cpu.compute_dtype(DType::bf16) == DType::bf16 ? "f32, bf16" : "f32"};
}

std::vector<DeviceInfo> devices() {
  std::vector<DeviceInfo> all;
  for (size_t i = 0; i < cuda_card_names().size(); ++i) all.push_back(cuda_card(i));
  all.push_back(device_info("cpu", 0));
  return all;
}

std::vector<DeviceKind> device_kinds() {
  std::vector<DeviceKind> all;
  if (!cuda_library().empty()) all.push_back({"cuda", cuda_library()});
  all.push_back({"cpu", CpuDevice::library()});
  return all;
}

std::string version() { return FUDE_VERSION; }

namespace {

std::vector<std::string> own_names(const std::vector<Names>& table) {
  std::vector<std::string> all;
  for (const Names& row : table) all.push_back(row.name);
  return all;
}

std::optional<std::string> own_name(const std::vector<Names>& table, std::string_view name) {
  const Names* row = find_name(table, name);
  return row ? std::optional(row->name) : std::nullopt;
}

}  // namespace

const std::vector<std::string>& sampler_names() {
  static const std::vector<std::string> names = own_names(names_of_samplers());
  return names;
}
const std::vector<std::string>& schedule_names() {
  static const std::vector<std::string> names = own_names(names_of_schedules());
  return names;
}
std::optional<std::string> sampler_from(std::string_view name) { return own_name(names_of_samplers(), name); }
std::optional<std::string> schedule_from(std::string_view name) { return own_name(names_of_schedules(), name); }

std::string_view name_of(Stage stage) {
  switch (stage) {
    case Stage::load: return "load";
    case Stage::encode: return "encode";
    case Stage::denoise: return "denoise";
    case Stage::decode: return "decode";
  }
  return "?";
}

}  // namespace fude
