// A host whose time passes only where a test says so: what is timed on it takes as long on any machine, however busy.
#pragma once

#include "cpu/cpu_device.h"
#include "quiet.h"

namespace fude::test {

class MadeUpTime : public Quiet<CpuDevice> {
 public:
  // A step, and decoding a picture, take `pause` seconds.
  explicit MadeUpTime(const double& pause) : Quiet<CpuDevice>(1), pause_(pause) {}

  double now() const override { return time_; }

 protected:
  bool do_all_finite(const Tensor& x) override {
    time_ += pause_;
    return CpuDevice::do_all_finite(x);
  }

 private:
  const double& pause_;
  double time_ = 0;
};

}  // namespace fude::test
