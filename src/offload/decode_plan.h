// DecodePlan: how a picture's feature maps are kept small while it is decoded (model/strips.h).
#pragma once

#include <cstdint>

namespace fude {

struct DecodePlan {
  int64_t strips = 1;         // of maps of the picture's own size; smaller maps have fewer
  bool through_host = false;  // maps larger than the latents are in Ops::host_arena

  bool operator==(const DecodePlan&) const = default;
};

}  // namespace fude
