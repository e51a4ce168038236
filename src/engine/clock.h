// Seconds of work on a backend since a clock was made.
#pragma once

#include "core/backend.h"

namespace fude {

class Clock {
 public:
  explicit Clock(const Backend& op) : op_(op), start_(op.now()) {}
  double seconds() const { return op_.now() - start_; }

 private:
  const Backend& op_;
  const double start_;
};

}  // namespace fude
