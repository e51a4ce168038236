// What stays where while requests are drawn.
#pragma once

#include <cstdint>

#include "model/strips.h"

namespace fude {

struct Placement {
  bool text = false;   // the text encoders stay on the device; else they are read at every prompt
  bool vae = true;     // its weights stay there; else they come for each picture
  int64_t blocks = 0;  // of the transformer that stay there; the others take turns
  DecodePlan decode;
  int64_t host_bytes = 0;  // of weights that wait in the host's memory for their turn; the others come from the file
  int64_t all_blocks =
      0;  // bytes of the device that would be needed for all of the transformer's blocks to stay, where not all do

  bool operator==(const Placement&) const = default;
};

}  // namespace fude
