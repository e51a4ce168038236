// Ops: the context of a run, on the stack of whoever runs something, and what models receive. About twenty eager operations on
// tensors, in the arenas, the dtype and until the stop flag that the run was given.
//
// Operations check shapes, allocate results and workspace, count work and notice cancellation, then call the device's kernels.
// On a measuring arena the kernels are not called, so the same model code that draws also plans: a dry run.
//
// Unless stated, tensors are [batch, rows, columns] or [rows, columns] of the activation dtype, and row ranges of a batch are
// accepted (strided batches, contiguous columns). Shape mistakes are our own bugs and are asserted.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <vector>

#include "core/device.h"
#include "core/rates.h"

namespace fude {

// What a run cost so far, or a part of it.
struct Work {
  double flops = 0;
  double seconds = 0;  // predicted, by a dry run with rates

  Work& operator+=(const Work& other) {
    flops += other.flops;
    seconds += other.seconds;
    return *this;
  }
  Work operator-(const Work& before) const { return {flops - before.flops, seconds - before.seconds}; }
};

struct OpsOptions {
  DType dtype = DType::f32;                 // of activations
  const std::atomic<bool>* stop = nullptr;  // operations throw Error{cancelled} once it is set
  const Rates* rates = nullptr;             // by which a dry run adds up seconds; none: it does not
};

class Ops {
 public:
  // All that is given outlives it.
  Ops(Device& device, Arena& arena, Arena& host_arena, const OpsOptions& options)
      : device_(device), arena_(arena), host_arena_(&host_arena), options_(options) {}
  Ops(Device& device, Arena& arena, const OpsOptions& options)  // for what keeps nothing on the host
      : device_(device), arena_(arena), options_(options) {}
  Ops(const Ops&) = delete;
  Ops& operator=(const Ops&) = delete;

  Device& device() const { return device_; }
  Arena& arena() const { return arena_; }
  Arena& host_arena() const { return *host_arena_; }
  DType dtype() const { return options_.dtype; }
  bool measuring() const { return arena_.is_measuring(); }
  const Work& work() const { return work_; }
  void poll() const;  // Error{cancelled} when it is time to stop; every operation does

  double times() const { return times_; }  // that what is under way counts, see repeat
  // Does `once` with 0 … n − 1. A dry run does it with 0 only, and counts it n times.
  template <class Once>
  void repeat(int64_t n, const Once& once) {
    if (measuring()) {
      const double before = times_;
      times_ *= static_cast<double>(n);
      if (n > 0) once(int64_t{0});
      times_ = before;
      return;
    }
    for (int64_t i = 0; i < n; ++i) once(i);
  }

  // ---- memory ------------------------------------------------------------------------------------------------------------
  Scope scope() const { return Scope(arena_); }
  Tensor empty(std::initializer_list<int64_t> shape) const { return empty(shape, dtype()); }
  Tensor empty(std::initializer_list<int64_t> shape, DType dtype) const;
  // Of the host's arena: for tensors that wait there until the device needs them again. Only to_host and from_host touch them.
  Tensor empty_on_host(std::initializer_list<int64_t> shape, DType dtype) const;

  // ---- copies ------------------------------------------------------------------------------------------------------------
  Tensor upload(const void* host, DType dtype, std::initializer_list<int64_t> shape);  // host memory, contiguous
  void download(const Tensor& source, void* host) {
    if (!measuring()) device_.do_download(source, host);
  }
  // Between the device and tensors of the host's arena: asynchronous, in stream order. Contiguous.
  void to_host(const Tensor& host, const Tensor& x);
  void from_host(const Tensor& x, const Tensor& host);
  // torch.randn's next values: f32, contiguous, the same bits on every device (core/noise.h).
  Tensor noise(TorchGenerator& generator, std::initializer_list<int64_t> shape);
  void copy(const Tensor& out, const Tensor& x);  // strides may differ; casts between float dtypes
  bool all_finite(const Tensor& x) { return measuring() || device_.do_all_finite(x); }

  // ---- products ----------------------------------------------------------------------------------------------------------
  // x [.., in] -> [.., out] in the activation dtype.
  Tensor linear(const Tensor& x, const Linear& w, LinearOptions options = {});
  // The same into an existing tensor (any float dtype); with options.accumulate added to it.
  void linear_into(const Tensor& out, const Tensor& x, const Linear& w, LinearOptions options = {});
  // Products that do not depend on each other; a device may do them at once.
  void linears(std::vector<LinearCall> calls);
  // softmax(scale·q·kᵀ + bias)·v per head; q [b, tq, d], k and v [b, tk, d], columns of a wider tensor allowed. -> [b, tq, d].
  Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options);
  void attention_into(const Tensor& out, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options);
  // Square kernel, padding kernel/2, stride 2 pads right and bottom only (the VAE's). x NHWC -> NHWC.
  Tensor conv2d(const Tensor& x, const Conv& w, ConvOptions options = {});
  void conv2d_into(const Tensor& out, const Tensor& x, const Conv& w, ConvOptions options = {});

  // ---- norms, elementwise ------------------------------------------------------------------------------------------------
  // Over the last dimension. With no weight: plain normalisation.
  Tensor layer_norm(const Tensor& x, const Norm& norm, float eps);
  // x·rsqrt(mean(x²) + eps)·weight, in the activation dtype whatever x's is (T5's residual stream is f32).
  Tensor rms_norm(const Tensor& x, const Tensor& weight, float eps);
  // The same over each head of the last dimension, in place: weight [head_dim].
  void rms_norm_heads(const Tensor& x, const Tensor& weight, float eps);
  // LayerNorm(x)·(1 + scale) + shift; shift, scale f32 [b, d] (rows of a wider tensor allowed).
  Tensor norm_modulate(const Tensor& x, const Tensor& shift, const Tensor& scale, float eps);
  // Over channels in groups and all pixels of a picture, then optionally silu. x NHWC.
  Tensor group_norm(const Tensor& x, const Norm& norm, int64_t groups, float eps, Activation activation);
  // GroupNorm in two passes, for feature maps that are never resident as a whole. Sums of each channel and of its squares, over
  // as many pieces of x as there are in `sums`, f32 [b, pieces, 2, channels]. Where each row of a picture is
  // group_pieces_of_row(picture) pieces, strips of it give the sums of the whole.
  int64_t group_pieces_of_row(const Tensor& whole) const { return device_.group_pieces_of_row(whole); }
  void group_sums(const Tensor& sums, const Tensor& x);
  // The sums of all pieces of a picture of so many pixels -> factor and offset of each channel, f32 [b, 2, channels].
  Tensor group_factors(const Tensor& sums, int64_t pixels, const Norm& norm, int64_t groups, float eps);
  void scale_shift(const Tensor& out, const Tensor& x, const Tensor& factors, Activation activation);  // out may be x
  Tensor activate(const Tensor& x, Activation activation);
  void add(const Tensor& x, const Tensor& y);                            // x += y; y may be [rows, d] for every batch of x
  void multiply(const Tensor& x, const Tensor& y);                       // x *= y; columns of wider tensors allowed
  void add_gated(const Tensor& x, const Tensor& gate, const Tensor& y);  // x += gate·y; gate f32 [b, d]

  // ---- the ends of the model ---------------------------------------------------------------------------------------------
  // Latents [b, c, h, w] -> tokens [b, (h/p)·(w/p), c·p·p], columns ordered (c, row, column) as a convolution's weight is.
  Tensor patchify(const Tensor& latents, int64_t patch);
  // Tokens [b, n, p·p·c], columns ordered (row, column, c) -> f32 latents [b, c, h, w].
  Tensor unpatchify(const Tensor& tokens, int64_t patch, int64_t channels, int64_t height, int64_t width);
  // Latents f32 [b, c, h, w] -> NHWC latents·scale + shift.
  Tensor to_nhwc(const Tensor& latents, float scale, float shift);
  // Pixels f32, −1…1 -> u8 of the same shape: clamped, and rounded half to even as torch and numpy do.
  Tensor to_bytes(const Tensor& pixels);
  // Guidance: v f32 [rows·n, …] of the negative prompt u, the prompt c and, where layers were skipped, s
  // -> [n, …] = u + guidance·(c − u) + skip_scale·(c − s).
  Tensor cfg(const Tensor& v, const CfgOptions& options);
  // Moves each picture's standard deviation towards the other's: x *= amount·std(like)/std(x) + 1 − amount; both f32 [n, …].
  // (Lin et al. 2024, "Common Diffusion Noise Schedules and Sample Steps are Flawed", section 3.4)
  void rescale(const Tensor& x, const Tensor& like, float amount);
  // An evaluation of a sampler (diffusion/samplers.h): each part of `state` becomes its sum, in place, all at once.
  void combine(const CombineCall& call);

  // ---- how work is issued ------------------------------------------------------------------------------------------------
  // Two pieces of work that do not read each other's results; a device may run them side by side. What they allocate is gone
  // afterwards.
  template <class First, class Second>
  void parallel(First&& first, Second&& second) {
    if (!device_.capabilities().branches) {
      const auto alone = [this](auto&& work) {
        auto scratch = scope();
        work();
      };
      alone(first);
      alone(second);
      return;
    }
    if (!measuring()) device_.fork();
    arena_.beside(first, [&] {
      if (!measuring()) device_.other_branch();
      second();
    });
    if (!measuring()) device_.join();
  }

  // Device::replay; the dry run does the work.
  void replay(std::unique_ptr<DeviceGraph>& graph, const std::function<void()>& work);
  void host_callback(const std::function<void()>& action) { device_.host_callback(action); }

 private:
  // Each operation begins with one of these: they count its work and notice cancellation.
  void begin(double flops, double seconds);
  void begin(std::initializer_list<Tensor> tensors);  // one that reads and writes these, and computes little
  void begin_copy(const Tensor& x);                   // between the host and a device
  bool predicts() const { return options_.rates && measuring(); }
  const Rates& rates() const { return *options_.rates; }
  void* take(int64_t bytes) const;

  Device& device_;
  Arena& arena_;
  Arena* host_arena_ = nullptr;
  const OpsOptions options_;
  Work work_;
  double times_ = 1;
};

}  // namespace fude
