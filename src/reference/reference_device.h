// Plain loops in f32: the specification of every operation. The other devices are tested against it and fall back to it.
#pragma once

#include "core/device.h"

namespace fude {

class ReferenceDevice : public Device {
 public:
  std::string name() const override { return "reference"; }
  DType compute_dtype(DType wanted) const override { return wanted; }

  std::unique_ptr<Transfer> begin_transfer(Side side) override;

 protected:
  // As a Transfer does it, but at once: both sides are the host's memory.
  virtual Weight pack(const WeightShape& shape, WeightFormat format, const ReadRows& read, void* memory) const;

  void do_upload(const Tensor& out, const void* host) override;
  void do_download(const Tensor& x, void* host) override;
  void do_copy(const Tensor& out, const Tensor& x) override;
  bool do_all_finite(const Tensor& x) override;
  void do_linears(const std::vector<LinearCall>& calls, void* workspace) override;
  void do_attention(const AttentionCall& call, void* workspace) override;
  void do_conv2d(const ConvCall& call, void* workspace) override;
  void do_layer_norm(const Tensor& out, const Tensor& x, const Norm& norm, float eps) override;
  void do_rms_norm(const Tensor& out, const Tensor& x, const Tensor& weight, float eps) override;
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
  class HostTransfer;

  static void linear(const LinearCall& call);
};

}  // namespace fude
