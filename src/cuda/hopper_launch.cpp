// Making TMA descriptors by the driver's function.
#include "cuda/hopper_launch.h"

#include <array>
#include <cassert>
#include <string>

#include "fude/error.h"

namespace fude::cuda {

CUtensorMap tma_descriptor(DType dtype, const void* data, std::initializer_list<TmaDimension> dimensions, const char* what) {
  static const auto encode = [] {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult found;
    check(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found),
          "looking up cuTensorMapEncodeTiled");
    return reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(function);
  }();
  constexpr size_t kMaxRank = 5;
  assert(dimensions.size() <= kMaxRank && dimensions.begin()->stride == 1);
  std::array<cuuint64_t, kMaxRank> sizes{}, strides{};
  std::array<cuuint32_t, kMaxRank> box{}, steps{};
  size_t i = 0;
  for (const TmaDimension& d : dimensions) {
    sizes[i] = static_cast<cuuint64_t>(d.size);
    strides[i] = static_cast<cuuint64_t>(d.stride) * 2;
    box[i] = static_cast<cuuint32_t>(d.box);
    steps[i++] = 1;
  }
  CUtensorMap descriptor;
  const CUresult result =
      encode ? encode(&descriptor, dtype == DType::f16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
                      static_cast<cuuint32_t>(i), const_cast<void*>(data), sizes.data(), strides.data() + 1, box.data(),
                      steps.data(), CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                      CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE)
             : CUDA_ERROR_NOT_FOUND;
  if (result != CUDA_SUCCESS) throw Error(Code::device, std::string("could not describe ") + what + " to the card");
  return descriptor;
}

}  // namespace fude::cuda
