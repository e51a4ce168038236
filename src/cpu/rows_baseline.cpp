// The row kernels, compiled for any processor.
#include "cpu/rows_impl.h"

FUDE_ROW_KERNELS(kBaselineRows, "baseline")
