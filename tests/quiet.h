// A device of a machine on which no other program runs, whatever runs on the one that tests it.
#pragma once

#include <optional>

#include "core/device.h"

namespace fude::test {

template <class D>
class Quiet : public D {
 public:
  using D::D;
  std::optional<ProcessorTime> processor_time() const override { return ProcessorTime{}; }
};

}  // namespace fude::test
