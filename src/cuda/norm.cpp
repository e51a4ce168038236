// Which norm kernel a call runs on.
#include "cuda/norm.h"

#include <array>
#include <type_traits>

#include "cuda/ceil_div.h"
#include "cuda/launch.h"
#include "cuda/norm_params.h"
#include "fude/error.h"

namespace fude::cuda {

FUDE_KERNELS(norm, FUDE_NORM_KERNELS)

// They have two parameters; norm.cu says why.
template <class Kernel>
requires requires(const Kernel& kernel) { kernel.affine; }
auto parameters_of(const Kernel& kernel) { return std::array<const void*, 2>{&kernel.rows, &kernel.affine}; }

namespace {

template <class Out, class In>
void norm_of(CUstream stream, const Tensor& out, const Tensor& x, const Affine& affine) {
  const Rows<Out> to = rows_of<Out>(out);
  const Rows<In> from = rows_of<In>(x);
  const auto run = [&](int64_t lanes, const auto& kernel) {
    launch(stream, {ceil_div(from.count * lanes, kNormThreads)}, kernel, "normalising");
  };
  const bool vectors = from.width % 8 == 0 && rows_aligned(x, 8 * sizeof(In)) && rows_aligned(out, 8 * sizeof(Out));
  if (vectors && from.width <= 64) run(8, NormKernel<Out, In, 8, 1>{{to, from}, affine});
  else if (vectors && from.width <= 512) run(32, NormKernel<Out, In, 32, 2>{{to, from}, affine});
  else if (vectors && from.width <= 1536) run(32, NormKernel<Out, In, 32, 6>{{to, from}, affine});
  else if (vectors && from.width <= 2560) run(32, NormKernel<Out, In, 32, 10>{{to, from}, affine});
  else if (vectors && from.width <= 4096) run(kNormThreads, NormKernel<Out, In, kNormThreads, 2>{{to, from}, affine});
  else run(32, AnyNormKernel<Out, In>{{to, from}, affine});
}

void norm(CUstream stream, const Tensor& out, const Tensor& x, const Affine& affine) {
  with_type(out.dtype, [&](auto o) {
    using Out = decltype(o);
    if (x.dtype == DType::f32) norm_of<Out, float>(stream, out, x, affine);
    else
      with_type(x.dtype, [&](auto i) {
        using In = decltype(i);
        if constexpr (std::is_same_v<In, Out> || std::is_same_v<Out, float>) norm_of<Out, In>(stream, out, x, affine);
        else throw Error(Code::device, "a norm from one narrow type to another is not there");
      });
  });
}

}  // namespace

void layer_norm(CUstream stream, const Tensor& out, const Tensor& x, const Norm& w, float eps) {
  norm(stream, out, x,
       {.weight = w.weight.as<float>(),
        .bias = w.bias.as<float>(),
        .scale = nullptr,
        .shift = nullptr,
        .stride = 0,
        .rows_per_batch = 1,
        .eps = eps,
        .centred = true});
}

void rms_norm(CUstream stream, const Tensor& out, const Tensor& x, const Tensor& weight, float eps) {
  norm(stream, out, x,
       {.weight = weight.as<float>(),
        .bias = nullptr,
        .scale = nullptr,
        .shift = nullptr,
        .stride = 0,
        .rows_per_batch = 1,
        .eps = eps,
        .centred = false});
}

void norm_modulate(CUstream stream, const Tensor& out, const Tensor& x, const Tensor& shift, const Tensor& scale, float eps) {
  norm(stream, out, x,
       {.weight = nullptr,
        .bias = nullptr,
        .scale = scale.as<float>(),
        .shift = shift.as<float>(),
        .stride = scale.stride[0],
        .rows_per_batch = x.dim(1),
        .eps = eps,
        .centred = true});
}

}  // namespace fude::cuda
