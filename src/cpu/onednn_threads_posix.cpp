// OpenMP allows each thread a number of its own. What the thread's owner has set comes back afterwards; other threads are not
// concerned.
#include <dnnl.hpp>

#include "cpu/onednn_threads.h"

#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
#include <omp.h>
#endif

namespace fude::cpu {

#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
Alone::Alone() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
Alone::~Alone() { omp_set_num_threads(before_); }
#else
Alone::Alone() = default;
Alone::~Alone() = default;
#endif

}  // namespace fude::cpu
