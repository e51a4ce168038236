// The row kernels, compiled for AVX2.
#include "cpu/rows_impl.h"

FUDE_ROW_KERNELS(kAvx2Rows, "AVX2")
