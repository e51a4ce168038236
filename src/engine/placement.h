// What stays where while requests are drawn.
#pragma once

#include <cstdint>

#include "model/strips.h"

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

}  // namespace fude
