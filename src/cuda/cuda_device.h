// The device of one NVIDIA card. f16 and bf16 with f32 sums (f32 for parity), weights row by row as checkpoints have them.
//
// Operations are launched on a stream and return at once. Branches of parallel() run on streams of their own; what replay() is
// given becomes CUDA graphs at its second call, one for each piece between two waits of the host. Weights are copied by a
// stream and threads of their own, beside the work.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/device.h"
#include "cuda/card_memory.h"
#include "cuda/cuda.h"
#include "cuda/device.h"
#include "cuda/staging.h"

namespace fude {

class CudaDevice : public Device {
 public:
  // The index-th card that CUDA shows. Error{device}.
  explicit CudaDevice(int index);
  // One that is not here, to measure for: nothing is made on it.
  explicit CudaDevice(const AbsentCard& card);

  std::string name() const override;
  Capabilities capabilities() const override {
    // From 8192 rows on GEMMs gain little.
    return {.branches = true, .gated_linears = true, .folded_upsampling = true, .full_speed_rows = 8192};
  }
  std::string packing() const override { return "cuda"; }  // the same on every card
  bool on_host() const override { return false; }
  DType compute_dtype(DType wanted) const override;  // bf16 becomes f16 on cards without it
  Buffer allocate(int64_t bytes) override;
  Buffer allocate_host(int64_t bytes) override;
  DeviceMemory device_memory() const override;
  int64_t outside_bytes() const override { return outside_bytes_; }

  int64_t packed_bytes(const WeightShape& shape, WeightFormat format) const override;
  std::unique_ptr<Transfer> begin_transfer(Side side) override;
  Buffer pinned(Buffer filled) override;
  int64_t group_pieces_of_row(const Tensor& whole) const override;

  void replay(std::unique_ptr<DeviceGraph>& graph, const std::function<void()>& work) override;
  void host_callback(const std::function<void()>& action) override;

 protected:
  void fork() override;
  void other_branch() override;
  void join() override;
  void poison(void* memory, int64_t bytes) override;
  bool norms_heads(const LinearCall& call) const override;

  int64_t workspace(const std::vector<LinearCall>& calls) const override;
  int64_t workspace(const AttentionCall& call) const override;
  int64_t workspace(const ConvCall& call) const override;
  void do_upload(const Tensor& out, const void* host) override;
  void do_download(const Tensor& x, void* host) override;
  void do_to_host(const Tensor& host, const Tensor& x) override;
  void do_noise(const Tensor& out, TorchGenerator& generator) override;
  void do_copy(const Tensor& out, const Tensor& x) override;
  bool do_all_finite(const Tensor& x) override;
  void do_linears(const std::vector<LinearCall>& calls, void* workspace) override;
  void do_attention(const AttentionCall& call, void* workspace) override;
  void do_conv2d(const ConvCall& call, void* workspace) override;
  void do_layer_norm(const Tensor& out, const Tensor& x, const Norm& norm, float eps) override;
  void do_rms_norm(const Tensor& out, const Tensor& x, const Tensor& weight, float eps) override;
  void do_norm_modulate(const Tensor& out, const Tensor& x, const Tensor& shift, const Tensor& scale, float eps) override;
  void do_group_sums(const Tensor& sums, const Tensor& x) override;
  void do_group_factors(const Tensor& factors, const Tensor& sums, int64_t pixels, const Norm& norm, int64_t groups,
                        float eps) override;
  void do_scale_shift(const Tensor& out, const Tensor& x, const Tensor& factors, Activation activation) override;
  void do_activate(const Tensor& out, const Tensor& x, Activation activation) override;
  void do_add(const Tensor& x, const Tensor& y) override;
  void do_multiply(const Tensor& x, const Tensor& y) override;
  void do_add_gated(const Tensor& x, const Tensor& gate, const Tensor& y) override;
  void do_modulate(const Tensor& out, const Tensor& x, const Tensor& shift, const Tensor& scale) override;
  void do_patchify(const Tensor& out, const Tensor& latents, int64_t patch) override;
  void do_unpatchify(const Tensor& out, const Tensor& tokens, int64_t patch) override;
  void do_to_nhwc(const Tensor& out, const Tensor& latents, float scale, float shift) override;
  void do_to_bytes(const Tensor& out, const Tensor& pixels) override;
  void do_cfg(const Tensor& out, const Tensor& v, const CfgOptions& options) override;
  void do_rescale(const Tensor& x, const Tensor& like, float amount) override;
  void do_combine(const CombineCall& call) override;

 private:
  // A stream of work and the events that order it; branches[0] is the trunk.
  struct Branch {
    cuda::Stream stream = cuda::make_stream();
    cuda::Event forked = cuda::make_event();
    cuda::Event ended = cuda::make_event();
  };

  class CudaTransfer;
  struct Graphs;

  cuda::CUstream stream() const;  // of the branch that work is issued to now
  void begin_piece();
  void end_piece();
  void leave_branches();

  std::optional<cuda::OutsideMemory> outside_;  // first: it looks at the card before anything uses it
  std::string name_;
  int index_ = 0;
  int64_t absent_memory_ = 0;  // of a card that is not here
  cuda::Card card_;
  std::vector<Branch> branches_;
  std::vector<size_t> issuing_ = {0};  // the branch that work goes to, and those it will go back to
  std::vector<size_t> forked_;         // the second branch of every open parallel()
  size_t opened_ = 1;                  // branches in use
  Graphs* capturing_ = nullptr;        // being captured
  std::unique_ptr<cuda::Staging> staging_;
  cuda::Event computed_;
  Buffer found_, found_on_host_;  // one int: whether something was not finite
  int64_t outside_bytes_ = 0;
};

}  // namespace fude
