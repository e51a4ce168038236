// What the engine sees of CUDA, beside why_no_cuda() of fude.h, which touches no card. A build without CUDA has the same functions
// from none.cpp.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/backend.h"
#include "fude/fude.h"

namespace fude {

// "CUDA 13.0"; empty in a build without it.
std::string cuda_library();

// Named "cuda", "cuda:1" … Starts each card to ask for its memory.
std::vector<DeviceInfo> cuda_cards();

// The backend of one card. Error{device}.
std::unique_ptr<Backend> make_cuda_backend(int index);

}  // namespace fude
