// The nonlinearities of the models fude knows.
#pragma once

#include <cstdint>

namespace fude {

enum class Activation : uint8_t { none, silu, gelu_tanh, gelu_erf, quick_gelu };

}  // namespace fude
