// Device: the only abstract class. Its memory, transfers of weights to it, how work is issued to it, and its kernels.
//
// Nobody but Ops (core/ops.h) calls the kernels, the do_… functions: there shapes are checked, results and workspace allocated,
// and nothing is computed in a dry run. A fused kernel's default is its definition in simpler ones; a device overrides it only
// to be faster.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/activation.h"
#include "core/arena.h"
#include "core/noise.h"
#include "core/system.h"
#include "core/tensor.h"
#include "core/weight.h"

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

struct AttentionCall {
  Tensor out, q, k, v;
  AttentionOptions options;
  int64_t head_dim;
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

struct ConvCall {
  Tensor out, x;
  Conv w;
  ConvOptions options;
};

// Guidance: how the velocities of a batch's rows become one velocity. First come all rows of the negative prompt, then all of
// the prompt, then, with a skip_scale, all of the prompt that skipped layers.
struct CfgOptions {
  float guidance = 1;
  std::optional<float> skip_scale = {};

  int64_t rows() const { return skip_scale ? 3 : 2; }
};

// A sampler's sum: what a picture is made of, x and what is kept in slots, each become a sum of all of them, of the velocity v
// and of fresh noise.
struct CombineCall {
  Tensor state;         // f32 [(1 + slots)·b, …]: all x, then all of each slot
  Tensor v, noise;      // f32 [b, …]; noise may be empty
  Tensor coefficients;  // f32 [1 + slots, terms]: of x, of each slot, of v, of noise. What is multiplied by 0 is not read

  int64_t parts() const { return coefficients.dim(0); }
  int64_t terms() const { return coefficients.dim(1); }
};
inline constexpr int64_t kMostTerms = 8;

// Bytes of a device's memory.
struct DeviceMemory {
  int64_t total = 0, available = 0;
};

// What a device does better than by the definitions.
struct Capabilities {
  bool branches = false;           // two pieces of work side by side
  bool gated_linears = false;      // a GEMM's gate in its epilogue
  bool folded_upsampling = false;  // into weights of convolutions: 4 taps a pixel instead of 9
  int64_t full_speed_rows = 0;     // of a GEMM, from which on more rows at once are no faster
};

// Work that is done again and again, as its device remembers it: see Device::replay.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
};

// What weights are packed to: memory that is computed with, or the host's, from which the same bytes are copied there later.
enum class Side { device, host };

// Weights on their way to one side: what was packed and copied with this object, from when it was begun until it was waited
// for. The destructor waits for what is unfinished. Memory on the device may still serve work that was issued before.
class Transfer {
 public:
  virtual ~Transfer() = default;

  // Fills `memory` (Device::packed_bytes of it) with the form linears and convolutions multiply by. May go on after it
  // returned, with a copy of `read`.
  virtual Weight pack(const WeightShape& shape, WeightFormat format, const ReadRows& read, void* memory) = 0;
  // The same for n f32 values, which `read` gives as rows [0, n).
  virtual Tensor pack_vector(int64_t n, const ReadRows& read, void* memory) = 0;
  // Brings what was packed on the host's side to the device. `host` stays until the copy has ended; copies from pinned memory
  // take place beside other work.
  virtual void copy(void* device, const void* host, int64_t bytes) = 0;
  // Returns when all of it was read; work issued afterwards runs behind its copies. Nothing is added afterwards. Error: what
  // reading threw.
  virtual void wait() = 0;
};

class Device {
 public:
  virtual ~Device() = default;

  virtual std::string name() const = 0;
  virtual Capabilities capabilities() const { return {}; }
  // The dtype activations get when `wanted` (f32, bf16, f16) is asked for: f32 where the device has no faster type.
  virtual DType compute_dtype(DType wanted) const = 0;
  // Devices of one name here pack weights alike: what one has packed in the host's memory, the others can copy.
  virtual std::string packing() const { return name(); }
  virtual double now() const;                                   // seconds, since whenever, of the clock that work is timed by
  virtual std::optional<ProcessorTime> processor_time() const;  // of the host, while work is timed

  // ---- memory ------------------------------------------------------------------------------------------------------------
  virtual bool on_host() const { return true; }
  virtual int processors() const { return 1; }                                // of the host, that its work needs at once
  virtual Buffer allocate(int64_t bytes) { return host_buffer(bytes); }       // for weights and arenas. Error{out_of_memory}
  virtual Buffer allocate_host(int64_t bytes) { return host_buffer(bytes); }  // for the host's arena. Error{out_of_memory}
  virtual Buffer pinned(Buffer filled) { return filled; }                     // the same memory. Error{out_of_memory}
  virtual DeviceMemory device_memory() const;                                 // all of it, and what is free
  virtual int64_t outside_bytes() const { return 0; }  // of it, what driver and libraries take for this process
  // Fills memory with NaN, so that tests notice what reads it before writing.
  virtual void poison(void* memory, int64_t bytes);

  // ---- weights -----------------------------------------------------------------------------------------------------------
  // Whether kernels multiply activations of that dtype by weights of that format: by the dense ones of it.
  virtual bool multiplies(WeightFormat format, DType activations) const { return format == dense_format(activations); }
  virtual int64_t packed_bytes(const WeightShape& shape, WeightFormat format) const;
  virtual std::unique_ptr<Transfer> begin_transfer(Side side = Side::device) = 0;

  // ---- how work is issued ------------------------------------------------------------------------------------------------
  // Does `work`, which is the same operations on the same memory each time with a graph: a device may remember it as a
  // graph and replay that at once.
  virtual void replay(std::unique_ptr<DeviceGraph>& graph, const std::function<void()>& work);
  // Does what the host has to do between operations, such as waiting for weights: now, and at the same place whenever a
  // graph that is being captured is replayed. What it refers to outlives the graph.
  virtual void host_callback(const std::function<void()>& action) { action(); }
  // Two branches of work: fork begins the first, other_branch the second, join waits for both. Only with
  // Capabilities::branches.
  virtual void fork() {}
  virtual void other_branch() {}
  virtual void join() {}

  // ---- kernels -----------------------------------------------------------------------------------------------------------
  virtual bool norms_heads(const LinearCall&) const { return false; }  // in the GEMM's epilogue
  // Pieces of a row that group_sums adds up by themselves; x: the whole picture, whatever strip of it is summed.
  virtual int64_t group_pieces_of_row(const Tensor&) const { return 1; }
  // Bytes of arena a call needs besides its tensors.
  virtual int64_t workspace(const std::vector<LinearCall>&) const { return 0; }
  virtual int64_t workspace(const AttentionCall&) const { return 0; }
  virtual int64_t workspace(const ConvCall&) const { return 0; }

  virtual void do_upload(const Tensor& out, const void* host) = 0;
  virtual void do_download(const Tensor& x, void* host) = 0;
  virtual void do_to_host(const Tensor& host, const Tensor& x) { do_download(x, host.data); }
  virtual void do_noise(const Tensor& out, TorchGenerator& generator);  // default: drawn on the host
  virtual void do_copy(const Tensor& out, const Tensor& x) = 0;
  virtual bool do_all_finite(const Tensor& x) = 0;
  // Tensors are two-dimensional, or three-dimensional with strided batches. Gates and norms only where the device has said that
  // it can.
  virtual void do_linears(const std::vector<LinearCall>& calls, void* workspace) = 0;
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
  virtual void do_cfg(const Tensor& out, const Tensor& v, const CfgOptions& options) = 0;
  virtual void do_rescale(const Tensor& x, const Tensor& like, float amount) = 0;
  virtual void do_combine(const CombineCall& call) = 0;
  virtual void do_add_gated(const Tensor& x, const Tensor& gate, const Tensor& y) = 0;

  // Fused operations; these defaults are the definitions.
  virtual void do_norm_modulate(const Tensor& out, const Tensor& x, const Tensor& shift, const Tensor& scale, float eps);
};

}  // namespace fude
