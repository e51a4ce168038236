// Elementwise operations as kernels of their types.
#include "cuda/elementwise.h"

#include "cuda/ceil_div.h"
#include "cuda/elementwise_params.h"
#include "cuda/launch.h"

namespace fude::cuda {

FUDE_KERNELS(elementwise, FUDE_ELEMENTWISE_KERNELS)

namespace {

constexpr int kVector = 4;

Grid blocks_for(int64_t threads) { return {ceil_div(threads, kElementThreads)}; }

struct EachOptions {
  Each what = Each::copy;
  Activation activation = Activation::none;
  PerBatch gate = {}, shift = {};
};

void each(CUstream stream, const Tensor& out, const Tensor& x, const char* doing, const EachOptions& options) {
  with_type(out.dtype, [&](auto o) {
    with_type(x.dtype, [&](auto i) {
      using Out = decltype(o);
      using In = decltype(i);
      const auto run = [&](int64_t threads, auto kernel) {
        kernel.to = rows_of<Out>(out);
        kernel.from = rows_of<In>(x);
        kernel.what = options.what;
        kernel.activation = options.activation;
        kernel.gate = options.gate;
        kernel.shift = options.shift;
        launch(stream, blocks_for(threads), kernel, doing);
      };
      const bool vectors = out.dim(-1) % kVector == 0 && rows_aligned(out, kVector * size_of(out.dtype)) &&
                           rows_aligned(x, kVector * size_of(x.dtype));
      if (vectors) run(out.numel() / kVector, EachKernel<kVector, Out, In>{});
      else run(out.numel(), EachKernel<1, Out, In>{});
    });
  });
}

PerBatch per_batch(const Tensor& vectors, const Tensor& x) { return {vectors.as<float>(), vectors.stride[0], x.dim(1)}; }

}  // namespace

void copy(CUstream stream, const Tensor& out, const Tensor& x) { each(stream, out, x, "copying", {.what = Each::copy}); }

void activate(CUstream stream, const Tensor& out, const Tensor& x, Activation activation) {
  each(stream, out, x, "activating", {.what = Each::activate, .activation = activation});
}

void add(CUstream stream, const Tensor& x, const Tensor& y) { each(stream, x, y, "adding", {.what = Each::add}); }

void multiply(CUstream stream, const Tensor& x, const Tensor& y) {
  each(stream, x, y, "multiplying", {.what = Each::multiply});
}

void add_gated(CUstream stream, const Tensor& x, const Tensor& gate, const Tensor& y) {
  each(stream, x, y, "adding", {.what = Each::add_gated, .gate = per_batch(gate, x)});
}

void modulate(CUstream stream, const Tensor& out, const Tensor& x, const Tensor& shift, const Tensor& scale) {
  each(stream, out, x, "modulating", {.what = Each::modulate, .gate = per_batch(scale, x), .shift = per_batch(shift, x)});
}

void to_bytes(CUstream stream, const Tensor& out, const Tensor& pixels) {
  launch(stream, blocks_for(out.numel()), ToBytesKernel{out.as<uint8_t>(), pixels.as<float>(), out.numel()},
         "making bytes of pixels");
}

void cfg(CUstream stream, const Tensor& out, const Tensor& v, const CfgOptions& options) {
  const int64_t n = out.numel();
  const auto run = [&](const auto& kernel) { launch(stream, blocks_for(n), kernel, "guiding"); };
  if (options.skip_scale) run(CfgSkipKernel{out.as<float>(), v.as<float>(), n, options.guidance, *options.skip_scale});
  else run(CfgKernel{out.as<float>(), v.as<float>(), n, options.guidance});
}

void rescale(CUstream stream, const Tensor& x, const Tensor& like, float amount) {
  launch(stream, {x.dim(0)}, RescaleKernel{x.as<float>(), like.as<float>(), x.numel() / x.dim(0), amount}, "rescaling");
}

void combine(CUstream stream, const CombineCall& call) {
  const int64_t n = call.v.numel();
  launch(stream, blocks_for(n),
         CombineKernel{call.state.as<float>(), call.v.as<float>(), call.noise.as<float>(), call.coefficients.as<float>(), n,
                       static_cast<int>(call.parts()), static_cast<int>(call.terms())},
         "combining");
}

void patchify(CUstream stream, const Tensor& out, const Tensor& latents, int64_t patch) {
  with_type(out.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(
        stream, blocks_for(out.numel()),
        PatchifyKernel<T>{out.as<T>(), latents.as<float>(), out.numel(), latents.dim(1), latents.dim(2), latents.dim(3), patch},
        "cutting patches");
  });
}

void unpatchify(CUstream stream, const Tensor& out, const Tensor& tokens, int64_t patch) {
  with_type(tokens.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(stream, blocks_for(out.numel()),
           UnpatchifyKernel<T>{out.as<float>(), tokens.as<T>(), out.numel(), out.dim(1), out.dim(2), out.dim(3), patch},
           "joining patches");
  });
}

void to_nhwc(CUstream stream, const Tensor& out, const Tensor& latents, float scale, float shift) {
  with_type(out.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(stream, blocks_for(out.numel()),
           ToNhwcKernel<T>{out.as<T>(), latents.as<float>(), out.numel(), latents.dim(1), latents.dim(2) * latents.dim(3),
                           scale, shift},
           "turning latents");
  });
}

void find_non_finite(CUstream stream, const Tensor& x, int* found) {
  with_type(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(stream, blocks_for(x.numel()), FindNonFiniteKernel<T>{rows_of<T>(x), found},
           "looking for values that are not numbers");
  });
}

}  // namespace fude::cuda
