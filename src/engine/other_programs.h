// Whether other programs take processors that a device's work needs: what is timed beside them tells nothing of the machine.
#pragma once

#include <optional>

#include "core/device.h"

namespace fude {

class OtherPrograms {
 public:
  explicit OtherPrograms(const Device& device) : device_(device) { restart(); }

  void restart();  // watches from now on, as it does when it is made
  double seconds() const { return device_.now() - since_; }
  // Of the processors that the device needs, how many were not free since it watches; 0 where the system does not tell.
  double taken() const;
  // Whether they were so many that the work took longer for it, and that this is no error of measurement.
  bool disturb() const;

 private:
  const Device& device_;
  double since_ = 0;
  std::optional<ProcessorTime> before_;
};

}  // namespace fude
