// What there is to draw with. Any thread, at any time; results belong to the caller.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fude {

struct DeviceInfo {
  std::string name;         // as EngineOptions::device takes it: "cpu", "cuda", "cuda:1"
  std::string description;  // "AMD EPYC, 2 threads, AVX2"
  std::string library;      // "oneDNN 2.6.3"
  int64_t memory = 0;       // bytes in all
  int64_t free = 0;         // bytes available now
  std::string fast_dtypes;  // "f32" or "f32, bf16"
};
// The one that "auto" takes comes first. Starts the drivers of cards, to ask for their memory. Error: device.
std::vector<DeviceInfo> devices();
// When no NVIDIA card is among them: why, and how that changes; else empty. Starts no driver.
std::string why_no_cuda();

// The NVIDIA driver that was found and the one that is needed: "576.28 (CUDA 12.9), needed: 525 or newer". Starts no card;
// empty in a build without code for cards.
std::string cuda_driver();

// Kinds of devices that this build can draw on, whether one of them is here or not.
struct DeviceKind {
  std::string name;     // "cpu", "cuda"
  std::string library;  // "oneDNN 2.6.3"
};
std::vector<DeviceKind> device_kinds();

// What EngineOptions::card takes: "rtx4060" …
std::vector<std::string> card_names();

}  // namespace fude
