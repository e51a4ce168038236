// Microsoft's OpenMP has one number for all threads of the process. To set it back while others compute would give those more
// than one, so it stays: nothing else here uses that library.
#include "cpu/onednn_threads.h"

extern "C" void omp_set_num_threads(int threads);

namespace fude::cpu {

Alone::Alone() {
  static const bool told = [] {
    omp_set_num_threads(1);
    return true;
  }();
  static_cast<void>(told);
}

Alone::~Alone() = default;

}  // namespace fude::cpu
