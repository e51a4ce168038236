// The row kernels, compiled for AVX-512.
#include "cpu/rows_impl.h"

FUDE_ROW_KERNELS(kAvx512Rows, "AVX-512")
