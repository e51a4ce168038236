// Placement: what is resident and what is offloaded while requests are drawn, and the choice of it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "fude/fude.h"
#include "offload/decode_plan.h"
#include "offload/residency.h"

namespace fude {

struct Placement {
  bool text = false;   // the text encoders stay on the device; else they are read at every prompt
  bool vae = true;     // its weights stay there; else they come for each picture
  int64_t blocks = 0;  // of the transformer that are resident; the others are streamed
  DecodePlan decode;
  int64_t host_bytes = 0;  // of host-offloaded weights; the other streamed ones come from the file
  int64_t all_blocks = 0;  // bytes of the device at which no block would be streamed; 0 where none is

  bool operator==(const Placement&) const = default;
};

// What takes the least memory of the device.
constexpr Placement kLeastMemory{.text = false, .vae = false, .blocks = 0, .decode = {32, true}};

// What a choice depends on: a model's sizes, and what one request would take on one device.
struct Choice {
  bool on_host;                                                  // the device computes in the host's memory
  Residency blocks;                                              // of the transformer; which of them stay is not looked at
  std::function<Bytes(const Placement& placement)> needed_with;  // weights and work in all; a dry run finds it out
};

// The fastest placement whose needs fit into `room`; none where not even kLeastMemory does.
std::optional<Placement> choose_placement(const Choice& choice, const Bytes& room);

// Bytes of the device's memory: of the host's where it computes there.
constexpr int64_t& device_bytes(bool on_host, Bytes& bytes) { return on_host ? bytes.host : bytes.device; }

inline bool fits(const Bytes& needed, const Bytes& room) { return needed.device <= room.device && needed.host <= room.host; }

}  // namespace fude
