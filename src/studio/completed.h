// A request with every default filled in, for whoever is about to draw it.
#pragma once

#include "fude/fude.h"

namespace fude {

// Error{bad_request}, which for a size that cannot be drawn names the nearest that can, and that fits the memory.
inline Request completed(Engine& engine, const Request& asked) {
  try {
    return engine.complete(asked);
  } catch (const Error&) {
    return engine.plan(asked).request;  // refuses it too, and knows what fits
  }
}

}  // namespace fude
