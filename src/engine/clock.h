// Seconds of work on a device since a clock was made.
#pragma once

#include "core/device.h"

namespace fude {

class Clock {
 public:
  explicit Clock(const Device& device) : device_(device), start_(device.now()) {}
  double seconds() const { return device_.now() - start_; }

 private:
  const Device& device_;
  const double start_;
};

}  // namespace fude
