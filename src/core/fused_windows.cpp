// MinGW's fma rounds twice. Here the product is exact as a double, the sum is rounded to odd, and only then to a float (Boldo
// and Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
#include <bit>
#include <cstdint>

#include "core/fused.h"

namespace fude {

float fused(float a, float b, float c) {
  const double product = static_cast<double>(a) * b, addend = c;
  const double sum = product + addend;
  const double of_addend = sum - product;
  const double lost = (product - (sum - of_addend)) + (addend - of_addend);
  auto bits = std::bit_cast<uint64_t>(sum);
  if (lost != 0 && bits % 2 == 0) bits += (lost > 0) == (sum > 0) ? 1 : -1;
  return static_cast<float>(std::bit_cast<double>(bits));
}

}  // namespace fude
