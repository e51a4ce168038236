// What a build has for cards. The values, and the bytes of every .cu file, come from cmake/machine_code.cmake.
#pragma once

#include "cuda/driver.h"

namespace fude::cuda {

// Empty in a build without nvcc: then there is host code only, which plans for absent cards and can be tested.
extern const char* const kMadeByCuda;      // "13.0"
extern const DriverVersion kNeededDriver;  // the oldest one that loads it

// The architecture of the code that runs on the card in use, whose instructions kernels may use: 75, 80 …; 90 with wgmma.
int compiled_for();

}  // namespace fude::cuda
