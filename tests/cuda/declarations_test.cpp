// That fude's own declarations of the driver are those of NVIDIA's cuda.h, wherever a toolkit has one.
#include <type_traits>

#include "cuda/driver.h"

#if __has_include(<cuda.h>)
namespace {
namespace ours = fude::cuda;

// Before cuda.h renames functions to their newest version.
#define FUDE_TYPE(name, symbol, parameters) using name##_of_ours = decltype(ours::Driver::name);
FUDE_DRIVER_FUNCTIONS(FUDE_TYPE)
#undef FUDE_TYPE
}  // namespace

#include <cuda.h>

namespace {

// Types whose values are passed alike: numbers of one size, pointers to what is alike.
template <class A, class B>
constexpr bool alike() {
  if constexpr (std::is_pointer_v<A> && std::is_pointer_v<B>) {
    using To = std::remove_pointer_t<A>;
    using Other = std::remove_pointer_t<B>;
    if constexpr (std::is_void_v<To> || std::is_void_v<Other>) return std::is_void_v<To> == std::is_void_v<Other>;
    else if constexpr (requires {
                         sizeof(To);
                         sizeof(Other);
                       })
      return sizeof(To) == sizeof(Other) && std::is_const_v<To> == std::is_const_v<Other>;
    else return true;  // handles
  } else {
    return sizeof(A) == sizeof(B) && std::is_pointer_v<A> == std::is_pointer_v<B>;
  }
}

template <class A, class B>
struct Same : std::false_type {};
template <class A, class... As, class B, class... Bs>
struct Same<A (*)(As...), B (*)(Bs...)> : std::bool_constant<sizeof...(As) == sizeof...(Bs)> {
  static constexpr bool value = [] {
    if constexpr (sizeof...(As) == sizeof...(Bs)) return alike<A, B>() && (alike<As, Bs>() && ...);
    else return false;
  }();
};

#define FUDE_COMPARE(name, symbol, parameters) static_assert(Same<name##_of_ours, decltype(&::symbol)>::value, #symbol);
FUDE_DRIVER_FUNCTIONS(FUDE_COMPARE)
#undef FUDE_COMPARE

#define FUDE_SAME_VALUE(name) static_assert(static_cast<int>(ours::name) == static_cast<int>(::name));
FUDE_SAME_VALUE(CUDA_SUCCESS)
FUDE_SAME_VALUE(CUDA_ERROR_INVALID_VALUE)
FUDE_SAME_VALUE(CUDA_ERROR_OUT_OF_MEMORY)
FUDE_SAME_VALUE(CUDA_ERROR_NO_DEVICE)
FUDE_SAME_VALUE(CUDA_ERROR_NOT_FOUND)
FUDE_SAME_VALUE(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)
FUDE_SAME_VALUE(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR)
FUDE_SAME_VALUE(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
FUDE_SAME_VALUE(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)
FUDE_SAME_VALUE(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)
FUDE_SAME_VALUE(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES)
FUDE_SAME_VALUE(CU_MEMORYTYPE_HOST)
FUDE_SAME_VALUE(CU_MEMORYTYPE_DEVICE)
FUDE_SAME_VALUE(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
FUDE_SAME_VALUE(CU_STREAM_NON_BLOCKING)
FUDE_SAME_VALUE(CU_EVENT_DISABLE_TIMING)
FUDE_SAME_VALUE(CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
FUDE_SAME_VALUE(CU_TENSOR_MAP_DATA_TYPE_FLOAT16)
FUDE_SAME_VALUE(CU_TENSOR_MAP_DATA_TYPE_BFLOAT16)
FUDE_SAME_VALUE(CU_TENSOR_MAP_INTERLEAVE_NONE)
FUDE_SAME_VALUE(CU_TENSOR_MAP_SWIZZLE_128B)
FUDE_SAME_VALUE(CU_TENSOR_MAP_L2_PROMOTION_L2_128B)
FUDE_SAME_VALUE(CU_TENSOR_MAP_L2_PROMOTION_L2_256B)
FUDE_SAME_VALUE(CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE)
static_assert(ours::kHostRegisterPortable == CU_MEMHOSTREGISTER_PORTABLE);  // a macro there

#define FUDE_SAME_PLACE(type, member) static_assert(offsetof(ours::type, member) == offsetof(::type, member));
FUDE_SAME_PLACE(CUDA_MEMCPY2D, srcMemoryType)
FUDE_SAME_PLACE(CUDA_MEMCPY2D, srcDevice)
FUDE_SAME_PLACE(CUDA_MEMCPY2D, srcPitch)
FUDE_SAME_PLACE(CUDA_MEMCPY2D, dstMemoryType)
FUDE_SAME_PLACE(CUDA_MEMCPY2D, dstHost)
FUDE_SAME_PLACE(CUDA_MEMCPY2D, dstPitch)
FUDE_SAME_PLACE(CUDA_MEMCPY2D, WidthInBytes)
FUDE_SAME_PLACE(CUDA_MEMCPY2D, Height)
FUDE_SAME_PLACE(CUlaunchConfig, blockDimX)
FUDE_SAME_PLACE(CUlaunchConfig, sharedMemBytes)
FUDE_SAME_PLACE(CUlaunchConfig, hStream)
FUDE_SAME_PLACE(CUlaunchConfig, attrs)
FUDE_SAME_PLACE(CUlaunchConfig, numAttrs)
FUDE_SAME_PLACE(CUlaunchAttribute, id)
FUDE_SAME_PLACE(CUlaunchAttribute, value)
static_assert(sizeof(ours::CUDA_MEMCPY2D) == sizeof(::CUDA_MEMCPY2D));
static_assert(sizeof(ours::CUlaunchConfig) == sizeof(::CUlaunchConfig));
static_assert(sizeof(ours::CUlaunchAttribute) == sizeof(::CUlaunchAttribute));
static_assert(sizeof(ours::CUtensorMap) == sizeof(::CUtensorMap) && alignof(ours::CUtensorMap) >= alignof(::CUtensorMap));

}  // namespace
#endif
