#include "cpu/rows_impl.h"

FUDE_ROW_KERNELS(kBaselineRows, "baseline")
