// C libraries round once.
#include <cmath>

#include "core/fused.h"

namespace fude {

float fused(float a, float b, float c) { return std::fma(a, b, c); }

}  // namespace fude
