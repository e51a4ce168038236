// A multiplication and an addition with one rounding, which the noise of torch is made of.
#pragma once

namespace fude {

float fused(float a, float b, float c);  // a · b + c, of finite numbers

}  // namespace fude
