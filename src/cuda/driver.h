// The NVIDIA driver, opened when it is first needed. Nothing of CUDA is linked.
//
// Its types and functions are declared here, as far as fude uses them and by NVIDIA's names, so that host code compiles where
// no toolkit is and with every compiler. Where a toolkit is, tests/cuda/declarations_test.cpp compares them with its cuda.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "cuda/tensor_map.h"

namespace fude::cuda {

// By NVIDIA's own number, and by the CUDA that it reports.
struct DriverVersion {
  int number;  // 525
  int cuda;    // 12000
};

enum CUresult : int {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_INVALID_VALUE = 1,
  CUDA_ERROR_OUT_OF_MEMORY = 2,
  CUDA_ERROR_NO_DEVICE = 100,
  CUDA_ERROR_NO_BINARY_FOR_GPU = 209,
  CUDA_ERROR_NOT_FOUND = 500
};

using CUdevice = int;
using CUdeviceptr = unsigned long long;
using CUcontext = struct CUctx_st*;
using CUstream = struct CUstream_st*;
using CUevent = struct CUevent_st*;
using CUgraph = struct CUgraph_st*;
using CUgraphExec = struct CUgraphExec_st*;
using CUlibrary = struct CUlib_st*;
using CUkernel = struct CUkern_st*;
using CUfunction = struct CUfunc_st*;

enum CUdevice_attribute : int {
  CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
  CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR = 39,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
  CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97
};
enum CUfunction_attribute : int { CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8 };
enum CUmemorytype : int { CU_MEMORYTYPE_HOST = 1, CU_MEMORYTYPE_DEVICE = 2 };
enum CUstreamCaptureMode : int { CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1 };
inline constexpr unsigned CU_STREAM_NON_BLOCKING = 1, CU_EVENT_DISABLE_TIMING = 2;
inline constexpr unsigned kHostRegisterPortable = 1;  // CU_MEMHOSTREGISTER_PORTABLE

struct CUDA_MEMCPY2D {
  size_t srcXInBytes, srcY;
  CUmemorytype srcMemoryType;
  const void* srcHost;
  CUdeviceptr srcDevice;
  void* srcArray;
  size_t srcPitch;
  size_t dstXInBytes, dstY;
  CUmemorytype dstMemoryType;
  void* dstHost;
  CUdeviceptr dstDevice;
  void* dstArray;
  size_t dstPitch;
  size_t WidthInBytes, Height;
};

enum CUlaunchAttributeID : int { CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION = 4 };
union CUlaunchAttributeValue {
  char pad[64];
  struct {
    unsigned x, y, z;
  } clusterDim;
};
struct CUlaunchAttribute {
  CUlaunchAttributeID id;
  char pad[8 - sizeof(CUlaunchAttributeID)];
  CUlaunchAttributeValue value;
};
struct CUlaunchConfig {
  unsigned gridDimX, gridDimY, gridDimZ;
  unsigned blockDimX, blockDimY, blockDimZ;
  unsigned sharedMemBytes;
  CUstream hStream;
  CUlaunchAttribute* attrs;
  unsigned numAttrs;
};

enum CUtensorMapDataType : int { CU_TENSOR_MAP_DATA_TYPE_FLOAT16 = 6, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 = 9 };
enum CUtensorMapInterleave : int { CU_TENSOR_MAP_INTERLEAVE_NONE = 0 };
enum CUtensorMapSwizzle : int { CU_TENSOR_MAP_SWIZZLE_128B = 3 };
enum CUtensorMapL2promotion : int { CU_TENSOR_MAP_L2_PROMOTION_L2_128B = 2, CU_TENSOR_MAP_L2_PROMOTION_L2_256B = 3 };
enum CUtensorMapFloatOOBfill : int { CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE = 0 };

#ifdef _WIN32
#define FUDE_DRIVER_CALL __stdcall
#else
#define FUDE_DRIVER_CALL
#endif

// Every function that fude calls: its name, the driver's name for the version of it that this is, its parameters.
#define FUDE_DRIVER_FUNCTIONS(FUNCTION)                                                                                    \
  FUNCTION(cuInit, cuInit, (unsigned flags))                                                                               \
  FUNCTION(cuDriverGetVersion, cuDriverGetVersion, (int* version))                                                         \
  FUNCTION(cuGetErrorName, cuGetErrorName, (CUresult error, const char** text))                                            \
  FUNCTION(cuGetErrorString, cuGetErrorString, (CUresult error, const char** text))                                        \
  FUNCTION(cuDeviceGetCount, cuDeviceGetCount, (int* count))                                                               \
  FUNCTION(cuDeviceGet, cuDeviceGet, (CUdevice * device, int ordinal))                                                     \
  FUNCTION(cuDeviceGetName, cuDeviceGetName, (char* name, int length, CUdevice device))                                    \
  FUNCTION(cuDeviceGetAttribute, cuDeviceGetAttribute, (int* value, CUdevice_attribute attribute, CUdevice device))        \
  FUNCTION(cuDeviceGetPCIBusId, cuDeviceGetPCIBusId, (char* bus, int length, CUdevice device))                             \
  FUNCTION(cuDevicePrimaryCtxRetain, cuDevicePrimaryCtxRetain, (CUcontext * context, CUdevice device))                     \
  FUNCTION(cuCtxSetCurrent, cuCtxSetCurrent, (CUcontext context))                                                          \
  FUNCTION(cuCtxGetCurrent, cuCtxGetCurrent, (CUcontext * context))                                                        \
  FUNCTION(cuCtxGetDevice, cuCtxGetDevice, (CUdevice * device))                                                            \
  FUNCTION(cuLibraryLoadData, cuLibraryLoadData,                                                                           \
           (CUlibrary * library, const void* code, int* jit_options, void** jit_values, unsigned jit_count,                \
            int* library_options, void** library_values, unsigned library_count))                                          \
  FUNCTION(cuLibraryGetKernel, cuLibraryGetKernel, (CUkernel * kernel, CUlibrary library, const char* name))               \
  FUNCTION(cuLibraryGetGlobal, cuLibraryGetGlobal,                                                                         \
           (CUdeviceptr * address, size_t * bytes, CUlibrary library, const char* name))                                   \
  FUNCTION(cuKernelSetAttribute, cuKernelSetAttribute,                                                                     \
           (CUfunction_attribute attribute, int value, CUkernel kernel, CUdevice device))                                  \
  FUNCTION(cuLaunchKernelEx, cuLaunchKernelEx,                                                                             \
           (const CUlaunchConfig* config, CUfunction function, void** parameters, void** extra))                           \
  FUNCTION(cuMemGetInfo, cuMemGetInfo_v2, (size_t * available, size_t * total))                                            \
  FUNCTION(cuMemAlloc, cuMemAlloc_v2, (CUdeviceptr * memory, size_t bytes))                                                \
  FUNCTION(cuMemFree, cuMemFree_v2, (CUdeviceptr memory))                                                                  \
  FUNCTION(cuMemAllocHost, cuMemAllocHost_v2, (void** memory, size_t bytes))                                               \
  FUNCTION(cuMemFreeHost, cuMemFreeHost, (void* memory))                                                                   \
  FUNCTION(cuMemHostRegister, cuMemHostRegister_v2, (void* memory, size_t bytes, unsigned flags))                          \
  FUNCTION(cuMemHostUnregister, cuMemHostUnregister, (void* memory))                                                       \
  FUNCTION(cuMemcpyDtoH, cuMemcpyDtoH_v2, (void* host, CUdeviceptr device, size_t bytes))                                  \
  FUNCTION(cuMemcpyHtoDAsync, cuMemcpyHtoDAsync_v2, (CUdeviceptr device, const void* host, size_t bytes, CUstream stream)) \
  FUNCTION(cuMemcpyDtoHAsync, cuMemcpyDtoHAsync_v2, (void* host, CUdeviceptr device, size_t bytes, CUstream stream))       \
  FUNCTION(cuMemcpy2DAsync, cuMemcpy2DAsync_v2, (const CUDA_MEMCPY2D* copy, CUstream stream))                              \
  FUNCTION(cuMemsetD8Async, cuMemsetD8Async, (CUdeviceptr memory, unsigned char value, size_t count, CUstream stream))     \
  FUNCTION(cuStreamCreate, cuStreamCreate, (CUstream * stream, unsigned flags))                                            \
  FUNCTION(cuStreamDestroy, cuStreamDestroy_v2, (CUstream stream))                                                         \
  FUNCTION(cuStreamSynchronize, cuStreamSynchronize, (CUstream stream))                                                    \
  FUNCTION(cuStreamWaitEvent, cuStreamWaitEvent, (CUstream stream, CUevent event, unsigned flags))                         \
  FUNCTION(cuStreamBeginCapture, cuStreamBeginCapture_v2, (CUstream stream, CUstreamCaptureMode mode))                     \
  FUNCTION(cuStreamEndCapture, cuStreamEndCapture, (CUstream stream, CUgraph * graph))                                     \
  FUNCTION(cuEventCreate, cuEventCreate, (CUevent * event, unsigned flags))                                                \
  FUNCTION(cuEventDestroy, cuEventDestroy_v2, (CUevent event))                                                             \
  FUNCTION(cuEventRecord, cuEventRecord, (CUevent event, CUstream stream))                                                 \
  FUNCTION(cuEventSynchronize, cuEventSynchronize, (CUevent event))                                                        \
  FUNCTION(cuGraphInstantiate, cuGraphInstantiateWithFlags,                                                                \
           (CUgraphExec * executable, CUgraph graph, unsigned long long flags))                                            \
  FUNCTION(cuGraphLaunch, cuGraphLaunch, (CUgraphExec executable, CUstream stream))                                        \
  FUNCTION(cuGraphDestroy, cuGraphDestroy, (CUgraph graph))                                                                \
  FUNCTION(cuGraphExecDestroy, cuGraphExecDestroy, (CUgraphExec executable))                                               \
  FUNCTION(cuTensorMapEncodeTiled, cuTensorMapEncodeTiled,                                                                 \
           (CUtensorMap * map, CUtensorMapDataType type, uint32_t rank, void* address, const uint64_t* sizes,              \
            const uint64_t* strides, const uint32_t* box, const uint32_t* steps, CUtensorMapInterleave interleave,         \
            CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill))

struct Driver {
#define FUDE_MEMBER(name, symbol, parameters) CUresult(FUDE_DRIVER_CALL* name) parameters = nullptr;
  FUDE_DRIVER_FUNCTIONS(FUDE_MEMBER)
#undef FUDE_MEMBER
  int cuda = 0;         // what it reports: 12090; 0: there is no driver
  std::string lacking;  // the first function that it does not have: it is too old
};

// Never fails: what was not found is null.
const Driver& driver();
// Of tests: another library in the driver's place, from now on. No thread may be in a call, and nothing of the first be in use.
void replace_driver(const char* library);
bool driver_is_replaced();

// "576.28", as NVIDIA names it; empty where NVML does not tell.
std::string driver_number();

// The address of memory on a card, as the driver has it.
inline CUdeviceptr address_of(const void* memory) { return reinterpret_cast<CUdeviceptr>(memory); }

std::string text_of(CUresult result);  // "CUDA_ERROR_… (what that means)"
// Error{device} or Error{out_of_memory} that says what was being done.
void check(CUresult result, const char* doing);

}  // namespace fude::cuda
