// The passes of GroupNorm: pieces of the image, and the launches.
#include <algorithm>
#include <type_traits>

#include "cuda/ceil_div.h"
#include "cuda/group_norm_params.h"
#include "cuda/launch.h"
#include "cuda/norm.h"

namespace fude::cuda {

FUDE_KERNELS(group_norm, FUDE_GROUP_NORM_KERNELS)

namespace {

// Calls f with a zero of x's type and the number of channels that a thread takes at once.
template <class F>
void with_vector(const Tensor& x, F f) {
  with_type(x.dtype, [&](auto zero) {
    constexpr int kVector = 16 / sizeof(zero);
    if (x.dim(3) % kVector == 0) f(zero, std::integral_constant<int, kVector>());
    else f(zero, std::integral_constant<int, 1>());
  });
}

}  // namespace

// So many that all multiprocessors have work, of at least 64 pixels.
int64_t group_pieces_of_row(const Card& card, const Tensor& whole) {
  const int64_t height = whole.dim(1), width = whole.dim(2);
  int64_t pieces = 1;
  while (height * pieces < 4 * card.multiprocessors && width % (2 * pieces) == 0 && width / (2 * pieces) >= 64) pieces *= 2;
  return pieces;
}

void group_sums(CUstream stream, const Tensor& sums, const Tensor& x) {
  with_vector(x, [&](auto zero, auto vector) {
    using T = decltype(zero);
    const int64_t channels = x.dim(3);
    const int64_t lines = std::max<int64_t>(1, kGroupThreads / (channels / vector));
    launch(
        stream, {sums.dim(1), x.dim(0)},
        GroupSumsKernel<T, vector>{sums.as<float>(), x.as<T>(), x.dim(1) * x.dim(2), static_cast<int>(channels), sums.dim(1)},
        "normalising groups", static_cast<int>(lines * 2 * channels * int64_t{sizeof(float)}));
  });
}

void group_factors(CUstream stream, const Tensor& factors, const Tensor& sums, int64_t pixels, const Norm& w, int64_t groups,
                   float eps) {
  launch(stream, {groups, sums.dim(0)},
         GroupFactorsKernel{factors.as<float>(), sums.as<float>(), w.weight.as<float>(), w.bias.as<float>(), pixels,
                            static_cast<int>(sums.dim(3)), sums.dim(1), static_cast<int>(groups), eps},
         "normalising groups");
}

void scale_shift(CUstream stream, const Tensor& out, const Tensor& x, const Tensor& factors, Activation activation) {
  with_vector(x, [&](auto zero, auto vector) {
    using T = decltype(zero);
    const int64_t pixels = x.dim(1) * x.dim(2);
    const int64_t channels = x.dim(3);
    const int64_t of_block = std::max<int64_t>(1, kGroupThreads / (channels / vector)) * kPixelsOfThread;
    launch(stream, {ceil_div(pixels, of_block), x.dim(0)},
           ScaleShiftKernel<T, vector>{out.as<T>(), x.as<T>(), factors.as<float>(), pixels, static_cast<int>(channels),
                                       activation},
           "normalising groups");
  });
}

}  // namespace fude::cuda
