// GPU memory that this process takes besides what fude allocates.
#pragma once

#include <cstdint>

namespace fude::cuda {

// Measures the CUDA context, kernel code, and what libraries take.
class OutsideMemory {
 public:
  // Before the GPU is used for the first time.
  explicit OutsideMemory(int index);
  // What is taken now, with a reserve for what is loaded lazily; before fude allocates anything. Later calls in a process
  // return the first one's result.
  int64_t measure();

 private:
  int index_;
  int64_t before_;  // bytes used by all processes; -1: not known
};

}  // namespace fude::cuda
