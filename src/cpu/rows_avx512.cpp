#include "cpu/rows_impl.h"

FUDE_ROW_KERNELS(kAvx512Rows, "AVX-512")
