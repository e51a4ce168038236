// Making TMA descriptors by the driver's function.
#include "cuda/hopper_launch.h"

#include <array>
#include <cassert>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>

#include "fude/error.h"

namespace fude::cuda {

void describe_tensor(CUtensorMap& descriptor, DType dtype, const void* data, std::initializer_list<TmaDimension> dimensions,
                     const char* what, CUtensorMapL2promotion promotion) {
  constexpr size_t kMaxRank = 5;
  assert(dimensions.size() <= kMaxRank && dimensions.begin()->stride == 1);
  std::array<uint64_t, kMaxRank> sizes{}, strides{};
  std::array<uint32_t, kMaxRank> box{}, steps{};
  size_t i = 0;
  for (const TmaDimension& d : dimensions) {
    sizes[i] = static_cast<uint64_t>(d.size);
    strides[i] = static_cast<uint64_t>(d.stride) * 2;
    box[i] = static_cast<uint32_t>(d.box);
    steps[i++] = 1;
  }
  // The driver wants it at a multiple of 64 bytes. GCC 12 puts temporaries of types that are aligned so anywhere.
  constexpr size_t kAlignment = 64;
  std::array<std::byte, sizeof(CUtensorMap) + kAlignment> memory;
  size_t space = memory.size();
  void* encoded = memory.data();
  std::align(kAlignment, sizeof(CUtensorMap), encoded, space);
  const CUresult result = driver().cuTensorMapEncodeTiled(
      static_cast<CUtensorMap*>(encoded),
      dtype == DType::f16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, static_cast<uint32_t>(i),
      const_cast<void*>(data), sizes.data(), strides.data() + 1, box.data(), steps.data(), CU_TENSOR_MAP_INTERLEAVE_NONE,
      CU_TENSOR_MAP_SWIZZLE_128B, promotion, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) throw Error(Code::device, std::string("could not describe ") + what + " to the card");
  std::memcpy(&descriptor, encoded, sizeof descriptor);
}

}  // namespace fude::cuda
