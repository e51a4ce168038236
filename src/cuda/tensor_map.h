// The descriptor that TMA loads by: the driver fills it on the host, and kernels receive it among their parameters.
#pragma once

#include <cstdint>

namespace fude::cuda {

struct alignas(128) CUtensorMap {
  uint64_t opaque[16];
};

}  // namespace fude::cuda
