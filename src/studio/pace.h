// How long pictures take, learned from those that were drawn.
#pragma once

namespace fude {

// Of an effort: see session/spec.h.
class Pace {
 public:
  void learn(double effort, double seconds) { effort_ += effort, seconds_ += seconds; }
  bool known() const { return effort_ > 0; }
  double seconds_of(double effort) const { return known() ? effort * seconds_ / effort_ : 0; }

 private:
  double effort_ = 0, seconds_ = 0;
};

}  // namespace fude
