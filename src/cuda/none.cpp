// Stands for the CUDA device in a build without it.
#include "cuda/cuda.h"
#include "fude/error.h"

namespace fude {

std::string cuda_library() { return ""; }
std::string why_no_cuda() { return "this build has no CUDA; build with `cmake --preset cuda` to draw on an NVIDIA card"; }
std::vector<std::string> cuda_card_names() { return {}; }
DeviceInfo cuda_card(size_t) { throw Error(Code::device, why_no_cuda()); }
std::unique_ptr<Device> make_cuda_device(int) {
  throw Error(Code::device,
              {.what = why_no_cuda(), .field = Field::device, .remedies = {{Remedy::use_value, Field::device, {"cpu"}}}});
}
std::unique_ptr<Device> make_cuda_device(const AbsentCard& card) {
  throw Error(Code::device, "how much of a card's memory is needed only a build with CUDA knows, and this one has none: " +
                                card.name + " cannot be planned for; build with `cmake --preset cuda`, which needs no card");
}

}  // namespace fude
