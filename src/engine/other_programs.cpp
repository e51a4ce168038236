// Comparing the processors' time with this process's.
#include "engine/other_programs.h"

#include <algorithm>

namespace fude {

namespace {

constexpr double kDisturbs = 0.15;  // of the processors that are needed
constexpr double kError = 0.02;     // seconds of each processor: systems count in ticks of a hundredth

}  // namespace

void OtherPrograms::restart() {
  since_ = device_.now();
  before_ = device_.processor_time();
}

double OtherPrograms::taken() const {
  const std::optional<ProcessorTime> now = device_.processor_time();
  if (!before_ || !now || seconds() <= 0) return 0;
  const double others = ((now->all - before_->all) - (now->own - before_->own)) / seconds();
  const double free = now->processors - std::max(0.0, others);
  const double needed = device_.processors();
  return std::clamp(needed - free, 0.0, needed);
}

bool OtherPrograms::disturb() const {
  return before_ && taken() > kDisturbs * device_.processors() + kError * before_->processors / seconds();
}

}  // namespace fude
