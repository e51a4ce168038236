// A request of several pictures, and each of them alone.
#pragma once

#include "fude/fude.h"

namespace fude {

// Picture i as a request of its own: its noise, or with a variation the other seed's, is that of i seeds further.
inline Request single_picture(const Request& request, int64_t i) {
  Request single = request;
  single.count = 1;
  (single.variation ? single.variation->seed : single.seed) += static_cast<uint64_t>(i);
  return single;
}

}  // namespace fude
