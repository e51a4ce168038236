// The tuned host device: GEMMs through oneDNN with weights packed once, rows through kernels chosen for the processor.
//
// f32 everywhere, and bf16 where the processor multiplies it (AVX-512 BF16, AMX). With AMX, linears (amx_gemm.h) and attention
// (amx_attention.h) in bf16 are our own.
// What is not tuned (f16, bf16 elsewhere) falls back to the reference loops, which are right and slow; compute_dtype keeps
// requests away from them.
#pragma once

#include <memory>

#include "reference/reference_device.h"

namespace fude {

class ThreadTeam;

class CpuDevice : public ReferenceDevice {
 public:
  // threads: that compute, the one that calls among them; 0: one for each core.
  explicit CpuDevice(int threads = 0);
  ~CpuDevice() override;

  std::string name() const override { return "cpu"; }
  int processors() const override;
  std::string description() const;  // "2 threads, AVX2"
  static std::string library();     // "oneDNN 2.6.3"
  DType compute_dtype(DType wanted) const override;
  int64_t packed_bytes(const WeightShape& shape, WeightFormat format) const override;

 protected:
  Weight pack(const WeightShape& shape, WeightFormat format, const ReadRows& read, void* memory) const override;
  int64_t workspace(const std::vector<LinearCall>& calls) const override;
  int64_t workspace(const AttentionCall& call) const override;
  int64_t workspace(const ConvCall& call) const override;
  using Device::workspace;
  void do_copy(const Tensor& out, const Tensor& x) override;
  bool do_all_finite(const Tensor& x) override;
  void do_linears(const std::vector<LinearCall>& calls, void* workspace) override;
  void do_attention(const AttentionCall& call, void* workspace) override;
  void do_conv2d(const ConvCall& call, void* workspace) override;
  void do_layer_norm(const Tensor& out, const Tensor& x, const Norm& norm, float eps) override;
  void do_rms_norm(const Tensor& out, const Tensor& x, const Tensor& weight, float eps) override;
  void do_group_sums(const Tensor& sums, const Tensor& x) override;
  void do_scale_shift(const Tensor& out, const Tensor& x, const Tensor& factors, Activation activation) override;
  void do_activate(const Tensor& out, const Tensor& x, Activation activation) override;
  void do_add(const Tensor& x, const Tensor& y) override;
  void do_multiply(const Tensor& x, const Tensor& y) override;
  void do_add_gated(const Tensor& x, const Tensor& gate, const Tensor& y) override;
  void do_modulate(const Tensor& out, const Tensor& x, const Tensor& shift, const Tensor& scale) override;
  void do_norm_modulate(const Tensor& out, const Tensor& x, const Tensor& shift, const Tensor& scale, float eps) override;

 private:
  static LinearCall as_linear(const ConvCall& call);
  static ConvCall of_picture(const ConvCall& call, int64_t i);
  int64_t amx_workspace(const LinearCall& call) const;
  void multiply_on_amx(const std::vector<LinearCall>& calls, void* workspace) const;
  int64_t amx_workspace(const AttentionCall& call) const;
  void attend_on_amx(const AttentionCall& call, void* workspace) const;
  Weight pack_for_amx(const WeightShape& shape, const ReadRows& read, void* destination) const;
  void multiply(const std::vector<LinearCall>& calls, void* workspace);
  void upsample(const Tensor& x, char* out) const;

  const std::unique_ptr<ThreadTeam> team_;
  struct Products;  // oneDNN's engine and the primitives made so far
  const std::unique_ptr<Products> products_;
};

}  // namespace fude
