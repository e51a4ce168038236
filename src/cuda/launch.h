// Starting kernels. A kernel is a type: its members are its parameters, kThreads and kBlocks its launch bounds (kBlocks: 0 for
// none). The lists in *_params.h give each a name, by which kernel.cuh compiles it and code_of finds it.
#pragma once

#include <array>
#include <atomic>

#include "cuda/driver.h"
#include "cuda/kernels.h"

namespace fude::cuda {

// Error{device} where the result of loading code is that there is none for the card.
void check_code(CUresult result);

// The machine code of one .cu file, for all cards. It is loaded when the first of its kernels is started.
class MachineCode {
 public:
  constexpr MachineCode(const unsigned char* image) : image_(image) {}
  CUlibrary library();

 private:
  const unsigned char* image_;
  std::atomic<CUlibrary> library_ = nullptr;
};

class KernelCode {
 public:
  constexpr KernelCode(const char* name, MachineCode& file) : name_(name), file_(file) {}
  // On the current card, with `bytes` of shared memory for each block, which are always the same on one card if they are many.
  CUfunction prepare(int bytes, const char* doing);

 private:
  const char* name_;
  MachineCode& file_;
  std::atomic<CUkernel> kernel_ = nullptr;
  std::atomic<uint64_t> prepared_ = 0;  // cards on which many bytes were asked for
};

template <class Kernel>
KernelCode& code_of() = delete;  // a kernel that is in no list

// The kernels of FILE.cu, by their list: FUDE_KERNELS(norm, FUDE_NORM_KERNELS), once, in namespace fude::cuda.
#define FUDE_KERNELS(file, LIST)                               \
  extern "C" const unsigned char fude_code_##file[];           \
  static constinit MachineCode machine_code(fude_code_##file); \
  LIST(FUDE_KERNEL_CODE)
#define FUDE_KERNEL_CODE(name, ...)                        \
  template <>                                              \
  KernelCode& code_of<__VA_ARGS__>() {                     \
    static constinit KernelCode code(#name, machine_code); \
    return code;                                           \
  }

struct Grid {
  int64_t x = 1, y = 1, z = 1;
};

// cluster: blocks of one; 0: none.
void start_kernel(CUstream stream, KernelCode& code, Grid blocks, int threads, int shared_bytes, int cluster,
                  const void* const* parameters, const char* doing);

// Where the driver finds a kernel's parameters: it has one, itself, but for those that say otherwise.
template <class Kernel>
std::array<const void*, 1> parameters_of(const Kernel& kernel) {
  return {&kernel};
}

// Error{device} says what was being done.
template <class Kernel>
void launch(CUstream stream, Grid blocks, const Kernel& kernel, const char* doing, int shared_bytes = 0, int cluster = 0) {
  start_kernel(stream, code_of<Kernel>(), blocks, Kernel::kThreads, shared_bytes, cluster, parameters_of(kernel).data(), doing);
}

}  // namespace fude::cuda
