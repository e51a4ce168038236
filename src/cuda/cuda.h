// What the engine sees of CUDA, beside why_no_cuda() and cuda_driver() of fude/devices.h, which touch no card. A build without
// nvcc has it all, but no code for cards.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/device.h"
#include "fude/devices.h"

namespace fude {

// "CUDA 13.0", whose compiler made the code for cards; empty in a build without.
std::string cuda_library();

// "cuda", "cuda:1" … Starts none of them.
std::vector<std::string> cuda_card_names();
// What is known of the card with this place among the names. Starts it to ask for its memory. Error{device}.
DeviceInfo cuda_card(size_t index);

// The device of one card. Error{device}.
std::unique_ptr<Device> make_cuda_device(int index);

// What planning must know of a card that is not here.
struct AbsentCard {
  std::string name;
  int capability = 0;  // 75, 86, 89 …
  int multiprocessors = 0;
  int shared_bytes = 0;      // of one block, opted in
  int resident_threads = 0;  // of one multiprocessor
  int64_t memory = 0;        // bytes
  int64_t context = 0;       // of them, what its driver and libraries take
};
// A device that can only measure: taking memory is Error{bad_request}. Asks for no driver.
std::unique_ptr<Device> make_cuda_device(const AbsentCard& card);

}  // namespace fude
