// Reading from a card what its code was compiled for.
#include "cuda/launch.h"
#include "cuda/machine_code.h"

namespace fude::cuda {

#define FUDE_NO_KERNELS(KERNEL)
FUDE_KERNELS(compiled_for, FUDE_NO_KERNELS)

int compiled_for() {
  CUdeviceptr address = 0;
  size_t bytes = 0;
  int value = 0;
  check_code(driver().cuLibraryGetGlobal(&address, &bytes, machine_code.library(), "compiled_for"));
  check(driver().cuMemcpyDtoH(&value, address, sizeof value), "asking what its code was compiled for");
  return value;
}

}  // namespace fude::cuda
