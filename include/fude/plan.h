// What a request needs and takes: bytes, seconds, and where the weights are meanwhile. Values, without functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fude/error.h"
#include "fude/request.h"

namespace fude {

struct Seconds {
  // load: all that comes before a request is drawn: its plan, memory, the weights that stay; with an engine's first request
  // also opening the model and the device.
  double load = 0, encode = 0, denoise = 0, decode = 0, total = 0;
};

struct Bytes {
  int64_t host = 0, device = 0;
};

// Where a component's weights are while a request is drawn.
struct ComponentPlan {
  std::string name;                       // "clip_l", "clip_g", "t5", "transformer", "modulation", "vae"
  std::string dtype;                      // that it is computed in
  int64_t weights = 0;                    // bytes, in that dtype
  int64_t resident = 0;                   // bytes of them that stay on the device
  int64_t parts = 0, resident_parts = 0;  // blocks, or what else is loaded at once
  int64_t slots = 0;                      // bytes that the others take turns in
  int64_t in_host_memory = 0;             // bytes that are kept on the host, ready to be copied; the others come from the file
};

// What a request will need. Nothing is loaded and nothing is drawn to know it.
struct Plan {
  bool fits = false;
  Bytes planned;  // what fude allocates, to the byte
  Bytes process;  // with what the driver, libraries and the program itself take
  Bytes budget;   // what the process may take
  std::vector<ComponentPlan> components;
  int64_t streamed_per_step = 0;     // bytes of weights that are copied to the device at each step
  int64_t decode_tiles = 1;          // that the picture is decoded in, where Request::vae_tiling asks for them
  int64_t decode_strips = 1;         // pieces that the picture, or a tile of it, is decoded in, exactly
  bool decode_through_host = false;  // its full-size intermediates wait in the host's memory
  Seconds predicted;                 // from the rates of this machine; 0 where they are not known
  std::vector<Message> advice;       // what to do: why it does not fit, or what costs time
  Request request;                   // complete
  std::optional<Request> nearest;    // the largest request of this shape that fits, where this one does not
};

}  // namespace fude
