// Integer division that rounds up.
#pragma once

namespace fude::cuda {

// For size ≥ 0 and part > 0, in the common type of the two: 32-bit operands stay 32-bit in kernels.
template <class T, class U>
constexpr auto ceil_div(T size, U part) {
  return (size + part - 1) / part;
}

}  // namespace fude::cuda
