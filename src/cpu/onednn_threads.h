// How oneDNN is kept to one thread: the work was split before (core/thread_team.h), and OpenMP's threads wait for each other at
// barriers, in turns that other programs take.
#pragma once

namespace fude::cpu {

// Primitives are described, made and executed by this thread alone while one of these lives.
class Alone {
 public:
  Alone();
  ~Alone();
  Alone(const Alone&) = delete;
  Alone& operator=(const Alone&) = delete;

 private:
  int before_ = 0;
};

}  // namespace fude::cpu
