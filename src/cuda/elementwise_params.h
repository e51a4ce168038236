// The elementwise kernels: their parameters and their list.
#pragma once

#include <cstdint>

#include "core/activation.h"
#include "core/device.h"
#include "cuda/rows.h"

namespace fude::cuda {

constexpr int kElementThreads = 256;

// The vectors [batches, width] that belong to the rows of a tensor [batches, rows, width].
struct PerBatch {
  const float* values = nullptr;
  int64_t stride = 0, rows = 1;
};

// What becomes of an element y of `to` and an element x of `from`.
enum class Each : uint8_t {
  copy,       // x
  activate,   // activation(x)
  add,        // y + x
  multiply,   // y·x
  add_gated,  // y + gate·x
  modulate,   // x·(1 + gate) + shift
};
constexpr bool reads_out(Each what) { return what == Each::add || what == Each::multiply || what == Each::add_gated; }

// `vector`: elements of a thread.
template <int vector, class Out, class In>
struct EachKernel {
  static constexpr int kThreads = kElementThreads, kBlocks = 0;
  Rows<Out> to;
  Rows<In> from;
  Each what;
  Activation activation;
  PerBatch gate, shift;
};

struct ToBytesKernel {
  static constexpr int kThreads = kElementThreads, kBlocks = 0;
  uint8_t* out;
  const float* pixels;
  int64_t n;
};

struct CfgKernel {
  static constexpr int kThreads = kElementThreads, kBlocks = 0;
  float* out;
  const float* v;
  int64_t n;
  float guidance;
};

struct CfgSkipKernel {
  static constexpr int kThreads = kElementThreads, kBlocks = 0;
  float* out;
  const float* v;
  int64_t n;
  float guidance, skip_scale;
};

// A block for each picture of n values.
struct RescaleKernel {
  static constexpr int kThreads = 1024, kBlocks = 0;
  float* pictures;
  const float* like;
  int64_t n;
  float amount;
};

struct CombineKernel {
  static constexpr int kThreads = kElementThreads, kBlocks = 0;
  float* state;
  const float *v, *noise, *coefficients;
  int64_t n;
  int parts, terms;
};

template <class T>
struct PatchifyKernel {
  static constexpr int kThreads = kElementThreads, kBlocks = 0;
  T* out;
  const float* latents;
  int64_t n, channels, height, width, patch;
};

template <class T>
struct UnpatchifyKernel {
  static constexpr int kThreads = kElementThreads, kBlocks = 0;
  float* out;
  const T* tokens;
  int64_t n, channels, height, width, patch;
};

template <class T>
struct ToNhwcKernel {
  static constexpr int kThreads = kElementThreads, kBlocks = 0;
  T* out;
  const float* latents;
  int64_t n, channels, pixels;
  float scale, shift;
};

template <class T>
struct FindNonFiniteKernel {
  static constexpr int kThreads = kElementThreads, kBlocks = 0;
  Rows<T> x;
  int* found;
};

#define FUDE_EACH_KERNELS(KERNEL, Out, out, In, in)     \
  KERNEL(each_##out##_##in##_4, EachKernel<4, Out, In>) \
  KERNEL(each_##out##_##in##_1, EachKernel<1, Out, In>)
#define FUDE_ELEMENTWISE_KERNELS_OF(KERNEL, T, type) \
  FUDE_EACH_KERNELS(KERNEL, T, type, float, f32)     \
  FUDE_EACH_KERNELS(KERNEL, T, type, Half, f16)      \
  FUDE_EACH_KERNELS(KERNEL, T, type, BFloat16, bf16) \
  KERNEL(patchify_##type, PatchifyKernel<T>)         \
  KERNEL(unpatchify_##type, UnpatchifyKernel<T>)     \
  KERNEL(to_nhwc_##type, ToNhwcKernel<T>)            \
  KERNEL(find_non_finite_##type, FindNonFiniteKernel<T>)
#define FUDE_ELEMENTWISE_KERNELS(KERNEL)          \
  KERNEL(to_bytes, ToBytesKernel)                 \
  KERNEL(cfg, CfgKernel)                          \
  KERNEL(cfg_skip, CfgSkipKernel)                 \
  KERNEL(rescale, RescaleKernel)                  \
  KERNEL(combine, CombineKernel)                  \
  FUDE_ELEMENTWISE_KERNELS_OF(KERNEL, float, f32) \
  FUDE_ELEMENTWISE_KERNELS_OF(KERNEL, Half, f16)  \
  FUDE_ELEMENTWISE_KERNELS_OF(KERNEL, BFloat16, bf16)

}  // namespace fude::cuda
