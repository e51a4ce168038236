// Times this machine: what its operations and a request take.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fude/devices.h"
#include "fude/options.h"
#include "fude/plan.h"

namespace fude {

// How long something takes, and what is done in that time.
struct Timing {
  std::string name;    // "qkv, norms, image"
  std::string shape;   // "2048x4608x1536"
  double seconds = 0;  // the median
  double flops = 0;    // of GEMMs, attention and convolutions
  double bytes = 0;    // read and written, where memory is the limit; else 0
};

// The best that was measured, a second; 0: not measured.
struct BenchPeaks {
  double flops = 0;   // of GEMMs
  double bytes = 0;   // of the device's memory, read and written
  double upload = 0;  // bytes from the host's memory to a card's
};

struct BenchOptions {
  int64_t width = 0, height = 0;  // pixels, multiples of 16; 0: 512, or the model's own size where that is smaller
  int64_t steps = 4;              // of the request
};

struct BenchProgress {
  std::string what;  // is timed now
  int64_t done = 0, of = 0;
};

// All optional.
struct BenchCallbacks {
  std::function<void(const BenchProgress&)> progress;
  const std::atomic<bool>* stop = nullptr;  // set it to true: Error{cancelled}
};

// The same request twice by one Engine: the first time it loads the weights.
struct BenchRequest {
  std::string model;
  int64_t steps = 0;
  double guidance = 0;             // the model's own; 1 or less: steps are done without
  Timing encode, forward, decode;  // of the second time; forward: one step, the median of both
  Seconds first, again;
  Bytes planned;
};

struct BenchReport {
  DeviceInfo device;
  std::string dtype;              // what was computed in
  int64_t width = 0, height = 0;  // pixels
  BenchPeaks peaks;
  std::vector<Timing> ops;  // SD3.5-medium's shapes with guidance, whatever the model
  std::optional<BenchRequest> request;
};

// Times this machine: the operations with random numbers, then a request where `files` names a model. Any thread, at any time;
// other work on the machine disturbs it. Calls of `callbacks` come from the same thread. Error: as of an Engine.
BenchReport bench(const ModelFiles& files, const EngineOptions& options = {}, const BenchOptions& asked = {},
                  const BenchCallbacks& callbacks = {});

}  // namespace fude
