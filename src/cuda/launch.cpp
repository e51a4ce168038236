// Loading machine code and starting kernels by the driver's functions.
#include "cuda/launch.h"

#include <mutex>

#include "fude/error.h"

namespace fude::cuda {

namespace {

constexpr int kPlainSharedBytes = 48 << 10;  // of a block: what every kernel may use unasked

}  // namespace

void check_code(CUresult result) {
  if (result == CUDA_ERROR_NO_BINARY_FOR_GPU || result == CUDA_ERROR_NOT_FOUND)
    throw Error(Code::device,
                {.what = "this build has no code for the card; fude draws on Turing (RTX 20) and newer, and a build may be "
                         "for fewer",
                 .field = Field::device,
                 .remedies = {{Remedy::use_value, Field::device, {"cpu"}}}});
  check(result, "loading its code");
}

CUlibrary MachineCode::library() {
  if (const CUlibrary loaded = library_) return loaded;
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (const CUlibrary loaded = library_) return loaded;
  CUlibrary loading = nullptr;
  check_code(driver().cuLibraryLoadData(&loading, image_, nullptr, nullptr, 0, nullptr, nullptr, 0));
  return library_ = loading;
}

CUfunction KernelCode::prepare(int bytes, const char* doing) {
  CUkernel kernel = kernel_;
  if (!kernel) {
    check(driver().cuLibraryGetKernel(&kernel, file_.library(), name_), doing);
    kernel_ = kernel;
  }
  if (bytes > kPlainSharedBytes) {
    CUdevice card = 0;
    check(driver().cuCtxGetDevice(&card), doing);
    const uint64_t bit = card < 64 ? uint64_t{1} << card : 0;
    if (!(prepared_ & bit)) {
      check(driver().cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes, kernel, card), doing);
      prepared_ |= bit;
    }
  }
  return reinterpret_cast<CUfunction>(kernel);  // the driver takes either
}

void start_kernel(CUstream stream, KernelCode& code, Grid blocks, int threads, int shared_bytes, int cluster,
                  const void* const* parameters, const char* doing) {
  CUlaunchAttribute size{};
  size.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
  size.value.clusterDim = {static_cast<unsigned>(cluster), 1, 1};
  CUlaunchConfig config{};
  config.gridDimX = static_cast<unsigned>(blocks.x);
  config.gridDimY = static_cast<unsigned>(blocks.y);
  config.gridDimZ = static_cast<unsigned>(blocks.z);
  config.blockDimX = static_cast<unsigned>(threads);
  config.blockDimY = config.blockDimZ = 1;
  config.sharedMemBytes = static_cast<unsigned>(shared_bytes);
  config.hStream = stream;
  config.attrs = &size;
  config.numAttrs = cluster > 0 ? 1 : 0;
  // The driver only reads them.
  check(driver().cuLaunchKernelEx(&config, code.prepare(shared_bytes, doing), const_cast<void**>(parameters), nullptr), doing);
}

}  // namespace fude::cuda
