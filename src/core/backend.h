// Backend: the only abstract class. About twenty eager operations on tensors, weight packing, and the arena they work in.
//
// The public functions check shapes, allocate results and workspace and count the work; a device implements the protected do_…
// functions. On a measuring arena the do_… functions are not called, so the same model code that draws also plans.
// A fused operation's default implementation is its definition in simpler operations; a device overrides it only to be faster.
//
// Unless stated, tensors are [batch, rows, columns] or [rows, columns] of the activation dtype, and row ranges of a batch are
// accepted (strided batches, contiguous columns). Shape mistakes are our own bugs and are asserted.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "core/activation.h"
#include "core/arena.h"
#include "core/rates.h"
#include "core/tensor.h"
#include "core/weight.h"
#include "fude/fude.h"

namespace fude {

// RMS norms of attention's queries and keys, head by head: of the first and the second third of a product's columns.
struct HeadNorms {
  Tensor query, key;  // [head_dim] each; may be empty
  float eps = 0;
};

struct LinearOptions {
  Activation activation = Activation::none;  // applied after the bias
  bool accumulate = false;                   // linear_into only: out += y, after the activation
  HeadNorms norms;                           // applied after the bias
};

// One of several products: out = y, or out += y, or, with a gate (f32 [b, out], three-dimensional out), out += gate·y.
struct LinearCall {
  Tensor out, x;
  Linear w;
  LinearOptions options;
  Tensor gate;
};

struct AttentionOptions {
  int64_t heads = 1;
  float scale = 1.0f;   // of q·kᵀ
  bool causal = false;  // query i sees keys 0..i
  Tensor bias;          // f32 [heads, queries, keys], added after the scale; may be empty; rows may overlap
};

// Rows [begin, end).
struct RowRange {
  int64_t begin = 0, end = 0;
};

struct ConvOptions {
  int64_t stride = 1;
  bool upsample = false;    // nearest ×2 before the convolution, by a weight whose shape says so too
  bool accumulate = false;  // conv2d_into only: out += y
  RowRange rows = {};  // conv2d_into only, stride 1: the rows of the result that are wanted, and all that `out` has; {}: all
};

// Bytes of a device's memory.
struct DeviceMemory {
  int64_t total = 0, available = 0;
};

// Work that is done again and again, as its backend remembers it: see Backend::play.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
};

// Weights on their way to a device. When it goes, whatever of it was not awaited has ended as well.
class Transfer {
 public:
  virtual ~Transfer() = default;
  // Returns when all of it was read; what is issued afterwards runs behind its copies. Error: what reading it threw.
  virtual void wait() = 0;
};

// What pack writes to: memory that is computed with, or the host's, from which copy_weights brings the same bytes there later.
enum class Side { device, host };

// What a run cost so far.
struct Work {
  double flops = 0;
  double seconds = 0;  // that it will take, as predict() was told; only what was measured counts
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string name() const = 0;
  // The dtype activations and packed weights get when `wanted` (f32, bf16, f16) is asked for: f32 where the device has no
  // faster type.
  virtual DType compute_dtype(DType wanted) const = 0;

  // Seconds, since whenever, of the clock that work is timed by.
  virtual double now() const;

  // Rows of a product from which on more rows at once are no faster.
  virtual int64_t rows_of_full_speed() const { return 0; }

  // ---- memory ------------------------------------------------------------------------------------------------------------
  virtual bool on_host() const { return true; }
  virtual Buffer allocate(int64_t bytes) const { return host_buffer(bytes); }  // for weights and arenas. Error{out_of_memory}
  virtual Buffer allocate_host(int64_t bytes) const {
    return host_buffer(bytes);
  }                                                    // for the host's arena. Error{out_of_memory}
  virtual DeviceMemory device_memory() const;          // of the device, all of it and what is free
  virtual int64_t outside_bytes() const { return 0; }  // of it, what driver and libraries take for this process
  void use(Arena& arena) { arena_ = &arena; }
  void use_host(Arena& arena) { host_arena_ = &arena; }
  void use(DType activations) { dtype_ = activations; }
  void stop_when(const std::atomic<bool>* flag) { stop_ = flag; }
  void poll() const;  // Error{cancelled} when it is time to stop; every operation does

  Arena& arena() const { return *arena_; }
  DType dtype() const { return dtype_; }
  bool measuring() const { return arena_->is_measuring(); }
  const Work& work() const { return work_; }
  void predict(const Rates* rates) { rates_ = rates; }  // by which a measuring backend adds up seconds; none: it does not

  Scope scope() const { return Scope(*arena_); }
  Tensor empty(std::initializer_list<int64_t> shape) const { return empty(shape, dtype_); }
  Tensor empty(std::initializer_list<int64_t> shape, DType dtype) const;

  // Of the host's memory: for tensors that wait there until the device needs them again. Only to_host and from_host touch them.
  Arena& host_arena() const { return *host_arena_; }
  Tensor empty_on_host(std::initializer_list<int64_t> shape, DType dtype) const;

  // ---- weights -----------------------------------------------------------------------------------------------------------
  virtual int64_t packed_bytes(const WeightShape& shape, DType dtype) const;
  // Fills `memory` (packed_bytes of it) with the form linear and conv2d multiply by. A device may go on after it returned, with
  // a copy of `read`: until what transfer() returns was awaited.
  virtual Weight pack(const WeightShape& shape, DType dtype, const ReadRows& read, void* memory,
                      Side side = Side::device) const = 0;
  // The same for n f32 values, which `read` gives as rows [0, n).
  virtual Tensor pack_vector(int64_t n, const ReadRows& read, void* memory, Side side = Side::device) const;
  // Brings what was packed on the host's side to the device. `host` stays until the copy has ended; copies from memory that was
  // pinned take place beside other work.
  virtual void copy_weights(void* device, const void* host, int64_t bytes) const;
  virtual Buffer pinned(Buffer filled) const { return filled; }  // the same memory. Error{out_of_memory}
  // Of all that was packed and copied since the last call. Null: it is there. Memory it goes to may still serve work issued
  // before.
  virtual std::unique_ptr<Transfer> transfer() const { return nullptr; }
  void wait_for_transfers() const {
    if (const std::unique_ptr<Transfer> all = transfer()) all->wait();
  }

  // ---- copies ------------------------------------------------------------------------------------------------------------
  Tensor upload(const void* host, DType dtype, std::initializer_list<int64_t> shape);  // host memory, contiguous
  void download(const Tensor& source, void* host) {
    if (!measuring()) do_download(source, host);
  }
  // Between the device and tensors of the host's arena, in order with all other work: nobody waits. Contiguous.
  void to_host(const Tensor& host, const Tensor& x);
  void from_host(const Tensor& x, const Tensor& host);
  // torch.randn's values for a fresh generator of this seed: f32, contiguous, the same bits on every device (core/noise.h).
  Tensor noise(Noise kind, uint64_t seed, std::initializer_list<int64_t> shape);
  void copy(const Tensor& out, const Tensor& x);  // strides may differ; casts between float dtypes
  bool all_finite(const Tensor& x) { return measuring() || do_all_finite(x); }

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
  // Its parts, for pictures that are never there as a whole. Sums of each channel and of its squares, over as many pieces of x
  // as there are in `sums`, f32 [b, pieces, 2, channels]; group_pieces: how many pieces of x the device adds up at once.
  virtual int64_t group_pieces(const Tensor& x) const { return x.dim(1); }
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
  // Guidance: v f32 [2·n, …], negative half first -> [n, …] = u + guidance·(c − u).
  Tensor cfg(const Tensor& v, float guidance);
  // One step of an ordinary differential equation: latents += dt·v, both f32.
  void euler_step(const Tensor& latents, const Tensor& v, const Tensor& dt);  // dt f32 [1]

  // ---- how work is issued ------------------------------------------------------------------------------------------------
  // Two pieces of work that do not read each other's results; a device may run them side by side. What they allocate is gone
  // afterwards.
  template <class First, class Second>
  void parallel(First&& first, Second&& second) {
    if (!has_branches()) {
      const auto alone = [this](auto&& work) {
        auto scratch = scope();
        work();
      };
      alone(first);
      alone(second);
      return;
    }
    if (!measuring()) fork();
    arena_->beside(first, [&] {
      if (!measuring()) other_branch();
      second();
    });
    if (!measuring()) join();
  }

  // Does `work`, which is the same operations on the same memory each time a recording is played: a device may remember it and
  // replay it at once.
  virtual void replay(std::unique_ptr<DeviceGraph>& recording, const std::function<void()>& work);
  // Does what the host has to do between operations, such as waiting for weights: now, and at the same place whenever a
  // recording that is being made is played. What it refers to outlives the recording.
  virtual void host_callback(const std::function<void()>& action) { action(); }

 protected:
  struct AttentionCall {
    Tensor out, q, k, v;
    AttentionOptions options;
    int64_t head_dim;
  };
  struct ConvCall {
    Tensor out, x;
    Conv w;
    ConvOptions options;
  };

  // Where work is issued: fork begins the first branch of parallel, other_branch the second, join waits for both.
  virtual bool has_branches() const { return false; }
  virtual void fork() {}
  virtual void other_branch() {}
  virtual void join() {}
  // Fills memory of the arena with NaN, so that tests notice what reads it before writing.
  virtual void poison(void* memory, int64_t bytes) const;

  // Bytes of arena a call needs besides its tensors.
  virtual int64_t workspace(const std::vector<LinearCall>&) const { return 0; }
  virtual int64_t workspace(const AttentionCall&) const { return 0; }
  virtual int64_t workspace(const ConvCall&) const { return 0; }

  virtual void do_upload(const Tensor& out, const void* host) = 0;
  virtual void do_download(const Tensor& x, void* host) = 0;
  virtual void do_to_host(const Tensor& host, const Tensor& x) { do_download(x, host.data); }
  virtual void do_noise(const Tensor& out, Noise kind, uint64_t seed);  // default: drawn on the host
  virtual void do_copy(const Tensor& out, const Tensor& x) = 0;
  virtual bool do_all_finite(const Tensor& x) = 0;
  // Tensors are two-dimensional, or three-dimensional with strided batches. Gates and norms only where the two below say so.
  virtual void do_linears(const std::vector<LinearCall>& calls, void* workspace) = 0;
  virtual bool gates_linears() const { return false; }
  virtual bool folds_upsampling() const { return false; }  // into weights of convolutions: 4 taps a pixel instead of 9
  virtual bool norms_heads(const LinearCall&) const { return false; }
  virtual void do_attention(const AttentionCall& call, void* workspace) = 0;
  virtual void do_conv2d(const ConvCall& call, void* workspace) = 0;
  virtual void do_layer_norm(const Tensor& out, const Tensor& x, const Norm& norm, float eps) = 0;
  virtual void do_rms_norm(const Tensor& out, const Tensor& x, const Tensor& weight, float eps) = 0;
  virtual void do_group_sums(const Tensor& sums, const Tensor& x) = 0;
  virtual void do_group_factors(const Tensor& factors, const Tensor& sums, int64_t pixels, const Norm& norm, int64_t groups,
                                float eps) = 0;
  virtual void do_scale_shift(const Tensor& out, const Tensor& x, const Tensor& factors, Activation activation) = 0;
  virtual void do_activate(const Tensor& out, const Tensor& x, Activation activation) = 0;
  virtual void do_add(const Tensor& x, const Tensor& y) = 0;
  virtual void do_multiply(const Tensor& x, const Tensor& y) = 0;
  virtual void do_modulate(const Tensor& out, const Tensor& x, const Tensor& shift, const Tensor& scale) = 0;  // out may be x
  virtual void do_patchify(const Tensor& out, const Tensor& latents, int64_t patch) = 0;
  virtual void do_unpatchify(const Tensor& out, const Tensor& tokens, int64_t patch) = 0;
  virtual void do_to_nhwc(const Tensor& out, const Tensor& latents, float scale, float shift) = 0;
  virtual void do_to_bytes(const Tensor& out, const Tensor& pixels) = 0;
  virtual void do_cfg(const Tensor& out, const Tensor& v, float guidance) = 0;
  virtual void do_axpy(const Tensor& out, const Tensor& x, const Tensor& factor) = 0;  // out += factor·x

  virtual void do_add_gated(const Tensor& x, const Tensor& gate, const Tensor& y) = 0;

  // Fused operations; these defaults are the definitions.
  virtual void do_norm_modulate(const Tensor& out, const Tensor& x, const Tensor& shift, const Tensor& scale, float eps);

 private:
  // Each operation begins with one of these: they count its work and notice cancellation.
  void begin(double flops, double seconds);
  void begin(std::initializer_list<Tensor> tensors);  // one that reads and writes these, and computes little
  void begin_transfer(const Tensor& x);               // between the host and a device
  bool predicts() const { return rates_ && measuring(); }
  void* take(int64_t bytes) const;

  Arena *arena_ = nullptr, *host_arena_ = nullptr;
  DType dtype_ = DType::f32;
  const std::atomic<bool>* stop_ = nullptr;
  const Rates* rates_ = nullptr;
  Work work_;
};

}  // namespace fude
