// Compiles the kernels of a list: each as a plain name that the host finds, its body the overload of run() for its parameters.
// Once at the end of a .cu file, in namespace fude::cuda: FUDE_NOISE_KERNELS(FUDE_DEFINE_SMALL_KERNEL).
#pragma once

// Parameters that stay where the driver put them: of any size.
#define FUDE_DEFINE_KERNEL(name, ...)                                                       \
  extern "C" __global__ void __launch_bounds__(__VA_ARGS__::kThreads, __VA_ARGS__::kBlocks) \
      name(const __grid_constant__ __VA_ARGS__ kernel) {                                    \
    run(kernel);                                                                            \
  }

// Up to 128 bytes that the compiler may take apart.
#define FUDE_DEFINE_SMALL_KERNEL(name, ...)                                                                                  \
  extern "C" __global__ void __launch_bounds__(__VA_ARGS__::kThreads, __VA_ARGS__::kBlocks) name(const __VA_ARGS__ kernel) { \
    run(kernel);                                                                                                             \
  }
