// What a card's memory is used for besides what fude allocates there.
#pragma once

#include <cstdint>

namespace fude::cuda {

// Counts what this process makes a card keep: its context, code, and what libraries take.
class OutsideMemory {
 public:
  // Before the card is used for the first time.
  explicit OutsideMemory(int index);
  // Now, and what will be added to it later; what this process allocated itself must not be there yet. Of several calls in a
  // process the first counts.
  int64_t measure();

 private:
  int index_;
  int64_t before_;  // bytes used by everybody; -1: not known
};

}  // namespace fude::cuda
